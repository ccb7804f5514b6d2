"""A session that writes down everything it did: what it asked, when, and what it was told."""

import os
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "ensemble"))
from zk import OPEN_ACL, text  # noqa: E402

OK, REFUSED, UNKNOWN = "ok", "refused", "unknown"
CREATE2, DELETE, GET, SET, SYNC, MULTI, PING, CLOSE = 15, 2, 4, 5, 9, 14, 11, -11
NO_NODE, BAD_VERSION, NODE_EXISTS = -101, -103, -110
# What says nothing about the outcome: the server gave up on the request.
LOST = (-4, -7, -112, -118)


class Gone(Exception):
    """The connection ended; what was under way may have happened."""


class Stat:
    __slots__ = ("czxid", "mzxid", "version")

    def __init__(self, data, at):
        self.czxid, self.mzxid, _, _, self.version = struct.unpack_from(">qqqqi", data, at)


class Record:
    """One operation. `zxid` is that of the reply; `mzxid`, `version` and `value` what the node had."""
    __slots__ = ("session", "kind", "path", "value", "invoked", "returned", "outcome", "error", "zxid", "mzxid", "version",
                 "server", "group")

    def __init__(self, session, kind, path, value, server, group=0):
        self.session, self.kind, self.path, self.value, self.server, self.group = session, kind, path, value, server, group
        self.invoked, self.returned, self.outcome, self.error = time.monotonic(), None, UNKNOWN, 0
        self.zxid = self.mzxid = self.version = None

    def __repr__(self):
        fields = [f"{name}={getattr(self, name)!r}" for name in self.__slots__ if getattr(self, name) is not None]
        for name in ("session", "zxid", "mzxid"):
            number = getattr(self, name)
            if number is not None:
                fields = [f"{name}={number:#x}" if one.startswith(name + "=") else one for one in fields]
        return f"<{' '.join(fields)}>"


class Session:
    """Goes from member to member with its id, its password and the last zxid it saw."""

    def __init__(self, members, pick, history, wait, timeout_ms=6000):
        self.members, self.pick, self.history, self.wait, self.timeout_ms = members, pick, history, wait, timeout_ms
        self.id, self.password, self.last_zxid = 0, b"\0" * 16, 0
        self.socket, self.server, self.xid, self.sessions = None, None, 0, 0

    def connect(self):
        self.server = self.pick(self.members)
        try:
            connection = socket.create_connection(self.members[self.server], timeout=self.wait)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket = connection
            body = struct.pack(">iqiq", 0, self.last_zxid, self.timeout_ms, self.id) + text(self.password) + b"\0"
            connection.sendall(struct.pack(">i", len(body)) + body)
            answer = self.frame()
            _, timeout_ms, session = struct.unpack_from(">iiq", answer)
        except (OSError, struct.error, Gone) as error:
            self.drop()
            raise Gone(str(error)) from error
        if timeout_ms <= 0:
            # Expired: the next connection begins a session of its own.
            self.id, self.password, self.last_zxid = 0, b"\0" * 16, 0
            self.drop()
            raise Gone("expired")
        if self.id != session:
            self.sessions += 1
        self.id, self.password = session, answer[20:36]

    def drop(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise Gone("closed")
            data += more
        return data

    def frame(self):
        return self.exactly(struct.unpack(">i", self.exactly(4))[0])

    def send(self, op, body):
        self.xid += 1
        body = struct.pack(">ii", self.xid, op) + body
        self.socket.sendall(struct.pack(">i", len(body)) + body)
        return self.xid

    def reply(self, record, xid, read):
        """Takes one reply and fills the record in."""
        while True:
            answer = self.frame()
            got, zxid, error = struct.unpack_from(">iqi", answer)
            if got == xid:
                break
            if got >= 0:
                raise Gone(f"reply {got} in the place of {xid}")
        record.returned = time.monotonic()
        # A refusal carries the zxid of the server, or that of an error transaction.
        record.zxid = zxid
        if zxid > 0:
            self.last_zxid = max(self.last_zxid, zxid)
        if error in LOST:
            raise Gone(f"error {error}")
        record.outcome, record.error = (OK, 0) if error == 0 else (REFUSED, error)
        if error == 0:
            read(record, answer[16:])

    def many(self, group):
        """Sends requests without waiting, `(kind, op, path, value, body, read)` each, and reads the replies."""
        if self.socket is None:
            self.connect()
        batch = time.monotonic_ns() if len(group) > 1 else 0
        records = [Record(self.id, kind, path, value, self.server, batch) for kind, _, path, value, _, _ in group]
        self.history.extend(records)
        try:
            xids = [self.send(op, body) for _, op, _, _, body, _ in group]
            for record, xid, (_, _, _, _, _, read) in zip(records, xids, group):
                self.reply(record, xid, read)
        except (OSError, struct.error, Gone) as error:
            self.drop()
            raise Gone(str(error)) from error
        return records

    def set(self, path, value, version=-1):
        return self.many([set_request(path, value, version)])[0]

    def get(self, path):
        return self.many([("get", GET, path, None, text(path) + b"\0", read_get)])[0]

    def sync(self, path):
        return self.many([("sync", SYNC, path, None, text(path), nothing)])[0]

    def create(self, path, value, flags=0):
        body = text(path) + text(value) + OPEN_ACL + struct.pack(">i", flags)
        return self.many([("create", CREATE2, path, value, body, read_create)])[0]

    def delete(self, path):
        return self.many([("delete", DELETE, path, None, text(path) + struct.pack(">i", -1), nothing)])[0]

    def set_both(self, paths, value):
        """One transaction that sets two nodes."""
        body = b""
        for path in paths:
            body += struct.pack(">ibi", SET, 0, -1) + text(path) + text(value) + struct.pack(">i", -1)
        body += struct.pack(">ibi", -1, 1, -1)
        return self.many([("multi", MULTI, "|".join(paths), value, body, read_multi)])[0]

    def ping(self):
        body = struct.pack(">ii", -2, PING)
        self.socket.sendall(struct.pack(">i", len(body)) + body)

    def end(self):
        try:
            if self.socket is not None:
                self.send(CLOSE, b"")
                self.frame()
        except (OSError, Gone):
            pass
        self.drop()


def set_request(path, value, version=-1):
    return "set", SET, path, value, text(path) + text(value) + struct.pack(">i", version), read_set


def nothing(record, body):
    pass


def read_set(record, body):
    stat = Stat(body, 0)
    record.mzxid, record.version = stat.mzxid, stat.version


def read_get(record, body):
    length = struct.unpack_from(">i", body)[0]
    stat = Stat(body, 4 + max(length, 0))
    record.value, record.mzxid, record.version = body[4:4 + max(length, 0)], stat.mzxid, stat.version


def read_create(record, body):
    length = struct.unpack_from(">i", body)[0]
    record.path = body[4:4 + length].decode()
    stat = Stat(body, 4 + length)
    record.mzxid, record.version = stat.czxid, stat.version


def read_multi(record, body):
    # Of each part a header and a stat; all have the zxid of the transaction.
    stats = [Stat(body, at) for at in (9, 9 + 68 + 9)]
    assert stats[0].mzxid == stats[1].mzxid, f"one transaction has two zxids: {record}"
    record.mzxid, record.version = stats[0].mzxid, tuple(stat.version for stat in stats)
