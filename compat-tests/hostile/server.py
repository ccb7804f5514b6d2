"""A server as a process, and a client that may send anything. Knows no cases; those are in hostile.py and lifecycle.py."""

import os
import random
import shutil
import socket
import struct
import subprocess
import tempfile
import time

PATIENCE = 30


def free_port():
    """A port nobody listens on, below the range that the kernel takes for outgoing connections."""
    for _ in range(500):
        port = random.randrange(12000, 31000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass
    raise RuntimeError("no free port")


class Server:
    """Started with more lines of zoo.cfg and more -D words; ends with `with`."""

    def __init__(self, command, config="", flags="", wait=True, port=None):
        self.home = tempfile.mkdtemp(prefix="oxkeeper-hostile.")
        self.port = port or free_port()
        self.log = os.path.join(self.home, "server.log")
        with open(os.path.join(self.home, "zoo.cfg"), "w") as file:
            file.write(
                f"tickTime=500\nmaxSessionTimeout=120000\ndataDir={self.home}/data\nclientPort={self.port}\n"
                f"clientPortAddress=127.0.0.1\nmaxClientCnxns=0\nadmin.enableServer=false\n"
                f"4lw.commands.whitelist=*\npreAllocSize=1024\nextendedTypesEnabled=true\n{config}"
            )
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                ["bash", "-c", f'exec {command} "$0"', os.path.join(self.home, "zoo.cfg")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.home,
                env={**os.environ, "SERVER_JVMFLAGS": flags},
            )
        if wait:
            try:
                self.await_serving()
            except BaseException:
                self.__exit__()
                raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def await_serving(self):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                # Java may leave a connection unanswered for ever that comes while it starts.
                if "Mode:" in word(self.port, b"srvr", 1):
                    return
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the server does not serve: " + self.text()[-1000:])
            time.sleep(0.02)

    def text(self):
        with open(self.log, errors="replace") as file:
            return file.read()

    def memory(self):
        """Resident bytes."""
        with open(f"/proc/{self.process.pid}/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS"))


def word(port, text, patience=PATIENCE):
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
        connection.sendall(text)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer.decode(errors="replace")


def string(value):
    if value is None:
        return struct.pack(">i", -1)
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">i", len(value)) + value


def frame(body):
    return struct.pack(">i", len(body)) + body


def request(xid, op, body=b""):
    return frame(struct.pack(">ii", xid, op) + body)


def hello(timeout_ms=30000, session=0, password=bytes(16), zxid=0):
    return frame(struct.pack(">iqiq", 0, zxid, timeout_ms, session) + string(password) + b"\0")


OPEN_ACL = struct.pack(">ii", 1, 31) + string("world") + string("anyone")


def create(path, data=b"", flags=0, acl=OPEN_ACL):
    return string(path) + string(data) + acl + struct.pack(">i", flags)


class Client:
    """One connection; `session` is None when it was not asked for."""

    def __init__(self, port, handshake=True, timeout_ms=30000, resume=None, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            # Small segments too: one of loopback's 64 KB never fits into a small window.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.xid, self.session, self.events = 0, None, []
        if handshake:
            self.socket.sendall(hello(timeout_ms, *(resume or ())))
            answer = self.take()
            self.timeout_ms, session = struct.unpack(">iq", answer[4:16])
            self.session = (session, answer[20:36])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def read(self, count):
        parts = []
        while count:
            chunk = self.socket.recv(min(count, 1 << 16))
            if not chunk:
                raise EOFError("closed")
            parts.append(chunk)
            count -= len(chunk)
        return b"".join(parts)

    def take(self):
        return self.read(struct.unpack(">i", self.read(4))[0])

    def reply(self):
        """The next reply that is no event: (xid, zxid, error, body)."""
        while True:
            answer = self.take()
            xid, zxid, error = struct.unpack(">iqi", answer[:16])
            if xid != -1:
                return xid, zxid, error, answer[16:]
            kind, _, length = struct.unpack(">iii", answer[16:28])
            self.events.append((kind, answer[28:28 + length].decode()))

    def call(self, op, body=b""):
        self.xid += 1
        self.socket.sendall(request(self.xid, op, body))
        xid, _, error, answer = self.reply()
        assert xid == self.xid, (xid, self.xid)
        return error, answer
