#!/usr/bin/env python3
"""Local sessions and read-only mode on ensembles of three, of Oxkeepers or of Apache's servers: the same steps, the same
answers.

  sessions.py OXKEEPER [JAVA_SERVER] [NAME...]

Arguments and last line as of scenario.py.
"""

import os
import struct
import sys
import time

import scenario
from zk import Client, OPEN_ACL, ZkError, mode, text, word

SESSION_EXPIRED, NOT_READ_ONLY, EPHEMERAL_ON_LOCAL = -112, -119, -120


def error_of(act):
    try:
        act()
        return 0
    except ZkError as error:
        return error.code


def zxid(client):
    client.exists("/")
    return client.zxid & 0xffffffff


def ephemeral_multi(path):
    part = struct.pack(">ibi", 1, 0, -1) + text(path) + text(b"") + OPEN_ACL + struct.pack(">i", 1)
    return part + struct.pack(">ibi", -1, 1, -1)


def local_sessions(kinds, upgrading):
    ensemble = scenario.Ensemble(kinds, extra=["localSessionsEnabled=true", f"localSessionsUpgradingEnabled={str(upgrading).lower()}"])
    try:
        ensemble.start()
        leader = ensemble.leader()
        follower = next(id for id in kinds if id != leader)
        for id in (leader, follower):
            client = Client(ensemble.client(id), timeout_ms=8000)
            client.sync()
            before = zxid(client)
            extra = Client(ensemble.client(id), timeout_ms=8000)
            extra.end()
            client.sync()
            assert zxid(client) == before, "a local session took a transaction"
            client.create(f"/persistent-{id}")
            client.set(f"/persistent-{id}", b"1")
            assert zxid(client) == before + 2
            code = error_of(lambda: client.create(f"/ephemeral-{id}", b"", 1))
            multi = Client(ensemble.client(id), timeout_ms=8000)
            answer = multi.call(14, ephemeral_multi(f"/multi-{id}"))
            client.sync()
            if upgrading:
                assert code == 0, code
                assert zxid(client) == before + 6, zxid(client) - before
                other = leader if id == follower else follower
                moved = Client(ensemble.client(other), session=client.session, password=client.password)
                moved.sync()
                assert moved.exists(f"/ephemeral-{id}") and moved.exists(f"/multi-{id}")
                moved.end()
                again = Client(ensemble.client(id))
                again.sync()
                assert again.exists(f"/ephemeral-{id}") is None, "its session has ended"
            else:
                assert code == EPHEMERAL_ON_LOCAL, code
                assert zxid(client) == before + 4, zxid(client) - before
                expected = EPHEMERAL_ON_LOCAL if id == leader else SESSION_EXPIRED
                assert struct.pack(">i", expected) in answer, answer.hex()
                other = leader if id == follower else follower
                code = error_of(lambda: Client(ensemble.client(other), session=client.session, password=client.password))
                assert code == SESSION_EXPIRED, "a local session is known where it was made"
                back = Client(ensemble.client(id), session=client.session, password=client.password)
                assert back.session == client.session
                back.end()
        idle = Client(ensemble.client(follower), timeout_ms=1000)
        time.sleep(3)
        assert error_of(lambda: Client(ensemble.client(follower), session=idle.session, password=idle.password)) == SESSION_EXPIRED
        return f"leader {leader}"
    finally:
        ensemble.end()


def connect_raw(port, session, password, read_only):
    """The bytes of the answer to a ConnectRequest; none when it was closed."""
    import socket
    body = struct.pack(">iqiq", 0, 0, 8000, session) + text(password) + struct.pack(">b", read_only)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(struct.pack(">i", len(body)) + body)
        try:
            return connection.recv(4096)
        except ConnectionResetError:
            return b""


class ReadOnlyClient(Client):
    """A client that can do with reads."""

    def __init__(self, port, session=0, password=b"\0" * 16):
        import socket
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.xid, self.events = 0, []
        body = struct.pack(">iqiq", 0, 0, 8000, session) + text(password) + b"\1"
        self.socket.sendall(struct.pack(">i", len(body)) + body)
        answer = self.frame()
        _, self.timeout_ms, self.session = struct.unpack_from(">iiq", answer)
        self.password, self.read_only = answer[20:36], answer[36]


def read_only(kinds):
    """A member that has lost the others serves readers, and stops when a leader is back."""
    os.environ["JVMFLAGS"] = "-Dreadonlymode.enabled=true"
    ensemble = scenario.Ensemble(kinds, extra=["localSessionsEnabled=true"])
    try:
        ensemble.start()
        ensemble.leader()
        one, *others = kinds
        client = Client(ensemble.client(one), timeout_ms=8000)
        client.create("/there", b"kept")
        full = ReadOnlyClient(ensemble.client(one))
        assert full.read_only == 0, "there is a leader"
        owner = Client(ensemble.client(one), timeout_ms=20000)
        for id in others:
            ensemble.kill(id)
        end = time.time() + 30
        while word(ensemble.client(one), "isro") != "ro":
            assert time.time() < end, f"no read-only mode: {word(ensemble.client(one), 'srvr')!r} {ensemble.tail(one)}"
            time.sleep(0.1)
        port = ensemble.client(one)
        assert mode(port) == "read-only", mode(port)
        assert connect_raw(port, 0, b"\0" * 16, 0) == b"", "a client that writes was served"
        reader = ReadOnlyClient(port)
        assert reader.read_only == 1 and reader.get("/there") == b"kept"
        codes = [error_of(lambda: reader.create("/no")), error_of(lambda: reader.set("/there", b"x")),
                 error_of(lambda: reader.delete("/there")), error_of(reader.sync),
                 error_of(lambda: reader.call(14, ephemeral_multi("/no")))]
        assert codes == [NOT_READ_ONLY] * 5, codes
        reader.ping()
        again = ReadOnlyClient(port, reader.session, reader.password)
        assert again.session == reader.session
        again.end()
        last = ReadOnlyClient(port)
        ensemble.start(*others)
        ensemble.leader()
        try:
            last.ping()
            last.ping()
            raise AssertionError("a reader was kept when the leader came back")
        except OSError:
            pass
        fresh = Client(port, timeout_ms=8000)
        fresh.create("/again")
        assert word(port, "isro") == "rw"
        return "served readers and stopped"
    finally:
        os.environ.pop("JVMFLAGS")
        ensemble.end()


OX3, JAVA3 = {id: "ox" for id in (1, 2, 3)}, {id: "java" for id in (1, 2, 3)}
scenario.SCENARIOS = [
    ("ox-local-upgrading", lambda kinds: local_sessions(kinds, True), OX3),
    ("ox-local-refusing", lambda kinds: local_sessions(kinds, False), OX3),
    ("ox-read-only", read_only, OX3),
    ("java-local-upgrading", lambda kinds: local_sessions(kinds, True), JAVA3),
    ("java-local-refusing", lambda kinds: local_sessions(kinds, False), JAVA3),
    ("java-read-only", read_only, JAVA3),
    ("mixed-local-upgrading", lambda kinds: local_sessions(kinds, True), {1: "ox", 2: "ox", 3: "java"}),
    ("mixed-local-refusing", lambda kinds: local_sessions(kinds, False), {1: "java", 2: "java", 3: "ox"}),
]

if __name__ == "__main__":
    sys.exit(scenario.main())
