"""A ZooKeeper client of few words: one blocking connection, for scenarios that kill its server."""

import socket
import struct

NO_NODE, NODE_EXISTS, SESSION_MOVED = -101, -110, -118


class ZkError(Exception):
    def __init__(self, code):
        super().__init__(f"error {code}")
        self.code = code


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack(">i", len(data)) + data


OPEN_ACL = struct.pack(">ii", 1, 31) + text("world") + text("anyone")


class Client:
    """A session; `events` are what watches told: type and path. `session` and `password` of another client take its session over."""

    def __init__(self, port, timeout_ms=10000, session=0, password=b"\0" * 16, wait=5.0):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=wait)
        self.xid, self.events = 0, []
        body = struct.pack(">iqiq", 0, 0, timeout_ms, session) + text(password) + b"\0"
        self.socket.sendall(struct.pack(">i", len(body)) + body)
        answer = self.frame()
        _, self.timeout_ms, self.session = struct.unpack_from(">iiq", answer)
        self.password = answer[20:36]
        if self.timeout_ms == 0:
            self.socket.close()
            raise ZkError(-112)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionError("closed")
            data += more
        return data

    def frame(self):
        return self.exactly(struct.unpack(">i", self.exactly(4))[0])

    def call(self, op, body, xid=None):
        if xid is None:
            self.xid += 1
            xid = self.xid
        body = struct.pack(">ii", xid, op) + body
        self.socket.sendall(struct.pack(">i", len(body)) + body)
        while True:
            answer = self.frame()
            got, self.zxid, error = struct.unpack_from(">iqi", answer)
            if got == xid:
                break
            if got == -1:
                self.events.append((struct.unpack_from(">i", answer, 16)[0], answer[28:].decode()))
        if error:
            raise ZkError(error)
        return answer[16:]

    def create(self, path, data=b"", flags=0):
        answer = self.call(1, text(path) + text(data) + OPEN_ACL + struct.pack(">i", flags))
        return answer[4:].decode()

    def get(self, path):
        answer = self.call(4, text(path) + b"\0")
        length = struct.unpack_from(">i", answer)[0]
        return answer[4:4 + max(length, 0)]

    def set(self, path, data):
        self.call(5, text(path) + text(data) + struct.pack(">i", -1))

    def delete(self, path):
        self.call(2, text(path) + struct.pack(">i", -1))

    def children(self, path):
        answer = self.call(8, text(path) + b"\0")
        count, at, names = struct.unpack_from(">i", answer)[0], 4, []
        for _ in range(count):
            length = struct.unpack_from(">i", answer, at)[0]
            names.append(answer[at + 4:at + 4 + length].decode())
            at += 4 + length
        return sorted(names)

    def exists(self, path):
        try:
            return self.call(3, text(path) + b"\0")
        except ZkError as error:
            if error.code == NO_NODE:
                return None
            raise

    def sync(self, path="/"):
        self.call(9, text(path))

    def ping(self):
        self.call(11, b"", -2)

    def end(self):
        self.call(-11, b"")
        self.socket.close()

    def drop(self):
        self.socket.close()


def word(port, command, wait=2.0):
    """The answer to a four-letter word; empty when nobody answers."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=wait) as connection:
            connection.sendall(command.encode())
            answer = b""
            while more := connection.recv(65536):
                answer += more
            return answer.decode(errors="replace")
    except OSError:
        return ""


def mode(port):
    for line in word(port, "srvr").splitlines():
        if line.startswith("Mode: "):
            return line[6:]
    return ""
