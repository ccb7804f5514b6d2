#!/usr/bin/env python3
"""What members of different kinds must do for each other: cut a log, copy everything, keep a session's watches, count
quotas, reap what is due, and agree on what a quorum is when members have groups and weights.

  mixed.py OXKEEPER [JAVA_SERVER] [NAME...]

Arguments and last line as of scenario.py. Scenarios of Java alone show that the steps and answers are the original's.
"""

import glob
import os
import signal
import socket
import struct
import sys
import time

import scenario
from scenario import JAVA3, JAVA_LEADS, OX3, OX_LEADS, Load, check_everything, free_ports
from sessions import error_of
from zk import OPEN_ACL, Client, text, word

CREATE, CREATE_CONTAINER, CREATE_TTL, SET_WATCHES2, ADD_WATCH = 1, 19, 21, 105, 106
CREATED, DATA_CHANGED, CHILDREN_CHANGED = 1, 3, 4
QUOTA_EXCEEDED = -125


def start_with_leader_3(ensemble):
    """With empty folders, the larger of the two that come first leads."""
    ensemble.start(3, 2)
    assert ensemble.leader() == 3, ensemble.modes()
    ensemble.start(1)
    return ensemble.leader()


def in_logs(ensemble, id, path):
    files = glob.glob(f"{ensemble.folder}/{id}/data/version-2/log.*")
    return any(path.encode() in open(file, "rb").read() for file in files)


def begin(client, op, body, xid):
    """A request without waiting for its answer."""
    body = struct.pack(">ii", xid, op) + body
    client.socket.sendall(struct.pack(">i", len(body)) + body)


def taken_back(kinds, after):
    """A leader dies with writes in its log that nobody else has, and is told to take them back when it comes again: by
    TRUNC, or by a copy of everything when the others have written meanwhile (`after`), for then their next transaction is
    of another epoch."""
    for _ in range(4):
        ensemble = scenario.Ensemble(kinds)
        try:
            start_with_leader_3(ensemble)
            client = Client(ensemble.client(3), timeout_ms=20000)
            for number in range(20):
                client.create(f"/kept-{number}", b"x" * number)
            ensemble.trees()
            for id in (1, 2):
                ensemble.kill(id)
            for number in range(20):
                begin(client, CREATE, text(f"/cut-{number}") + text(b"y") + OPEN_ACL + struct.pack(">i", 0), 1000 + number)
            time.sleep(0.15)
            ensemble.kill(3)
            if not in_logs(ensemble, 3, "/cut-3"):
                continue  # it had seen already that it is alone, and took nothing
            ensemble.start(1, 2)
            leader = ensemble.leader()
            for number in range(after):
                Client(ensemble.client(leader)).create(f"/after-{number}")
            ensemble.start(3)
            ensemble.leader()
            tree = ensemble.trees()
            assert "/kept-19" in tree and tree.count("/after-") == after and "/cut-" not in tree, tree
            assert after or not in_logs(ensemble, 3, "/cut-"), "the log still has what was cut"
            # From its own files.
            ensemble.kill(3, signal.SIGTERM)
            ensemble.start(3)
            ensemble.leader()
            assert ensemble.trees() == tree
            return f"{kinds[leader]} had {kinds[3]} take them back"
        finally:
            ensemble.end()
    raise AssertionError("the leader never had a write of its own in its log")


def gauge(ensemble, id, name):
    lines = [line.split("\t") for line in word(ensemble.client(id), "mntr").splitlines() if "\t" in line]
    return sum(int(float(value)) for key, value in lines if key == name)


def everything_is_copied(kinds):
    """A member was away for more than the leader keeps, and the leader may not use its log files."""
    ensemble = scenario.Ensemble(kinds, extra=["snapshotSizeFactor=-1"])
    try:
        start_with_leader_3(ensemble)
        Client(ensemble.client(3)).create("/first")
        ensemble.trees()
        ensemble.kill(1)
        load = Load(ensemble, "load")
        load.start()
        while len(load.acknowledged) < 800:
            time.sleep(0.1)
        before = gauge(ensemble, 3, "zk_snap_count")
        ensemble.start(1)
        assert ensemble.leader() == 3
        sent = gauge(ensemble, 3, "zk_snap_count") - before
        assert sent == 1, f"{sent} snapshots were sent"
        acknowledged = load.finish()
        nodes = check_everything(ensemble, acknowledged)
        # From its own files, which begin with what was sent.
        ensemble.kill(1)
        ensemble.start(1)
        ensemble.leader()
        assert check_everything(ensemble, acknowledged) == nodes
        return f"{nodes} nodes from {kinds[3]} to {kinds[1]}"
    finally:
        ensemble.end()


def paths(*all):
    return struct.pack(">i", len(all)) + b"".join(text(path) for path in all)


def watches_move(kinds):
    """A session moves to another member, in turn to each: its ephemeral stays, what it missed is told, its watches go on."""
    ensemble = scenario.Ensemble(kinds)
    try:
        ensemble.start()
        ensemble.leader()
        ids = list(kinds)
        for one, other in zip(ids, ids[1:] + ids[:1]):
            writer = Client(ensemble.client(next(id for id in ids if id not in (one, other))), timeout_ms=20000)
            base = f"/from-{one}-to-{other}"
            for path in ("", "/data", "/kids", "/always", "/below", "/untouched"):
                writer.create(base + path)
            first = Client(ensemble.client(one), timeout_ms=20000)
            first.sync()
            first.create(f"{base}/ephemeral", b"", 1)
            for path in (f"{base}/data", f"{base}/untouched"):
                first.call(4, text(path) + b"\1")
            error_of(lambda: first.call(3, text(f"{base}/absent") + b"\1"))
            first.call(8, text(f"{base}/kids") + b"\1")
            first.call(ADD_WATCH, text(f"{base}/always") + struct.pack(">i", 0))
            first.call(ADD_WATCH, text(f"{base}/below") + struct.pack(">i", 1))
            seen = first.zxid
            first.drop()
            writer.set(f"{base}/data", b"1")
            writer.create(f"{base}/absent")
            writer.create(f"{base}/kids/one")
            second = Client(ensemble.client(other), session=first.session, password=first.password, timeout_ms=20000)
            assert second.session == first.session
            second.sync()
            lists = (paths(f"{base}/data", f"{base}/untouched"), paths(f"{base}/absent"), paths(f"{base}/kids"),
                     paths(f"{base}/always"), paths(f"{base}/below"))
            second.call(SET_WATCHES2, struct.pack(">q", seen) + b"".join(lists), xid=-8)
            missed = [(DATA_CHANGED, "/data"), (CREATED, "/absent"), (CHILDREN_CHANGED, "/kids")]
            assert sorted(second.events) == sorted((kind, base + path) for kind, path in missed), second.events
            second.events.clear()
            for path in ("/data", "/untouched", "/untouched", "/always", "/always"):
                writer.set(base + path, b"2")
            writer.create(f"{base}/below/deep")
            writer.create(f"{base}/kids/two")
            second.sync()
            told = [(DATA_CHANGED, "/untouched"), (DATA_CHANGED, "/always"), (DATA_CHANGED, "/always"),
                    (CREATED, "/below/deep")]
            assert second.events == [(kind, base + path) for kind, path in told], second.events
            assert second.exists(f"{base}/ephemeral")
            second.end()
            writer.sync()
            assert writer.exists(f"{base}/ephemeral") is None
            writer.end()
        ensemble.trees()
        return f"{len(ids)} moves"
    finally:
        ensemble.end()


def quotas_and_reaping(kinds):
    """Quotas are counted and refused, TTL nodes and containers reaped, whoever leads and whoever is asked."""
    flags = os.environ.get("JVMFLAGS")
    os.environ["JVMFLAGS"] = "-Dznode.container.checkIntervalMs=300"
    ensemble = scenario.Ensemble(kinds, extra=["extendedTypesEnabled=true", "enforceQuota=true"])
    try:
        start_with_leader_3(ensemble)
        clients = {id: Client(ensemble.client(id), timeout_ms=20000) for id in kinds}
        for id, client in clients.items():
            client.sync()
            top, quota = f"/q{id}", f"/zookeeper/quota/q{id}"
            client.create(top)
            client.create(quota)
            client.create(f"{quota}/zookeeper_limits", b"count=2,bytes=-1=;byteHardLimit=10;countHardLimit=3")
            client.create(f"{quota}/zookeeper_stats", b"count=0,bytes=0")
            client.create(f"{top}/a", b"1234")
            client.create(f"{top}/b", b"")
            assert error_of(lambda: client.create(f"{top}/c")) == QUOTA_EXCEEDED
            assert error_of(lambda: client.set(f"{top}/b", b"1234567")) == QUOTA_EXCEEDED
            client.set(f"{top}/b", b"123456")
        counted = set()
        for client in clients.values():
            client.sync()
            counted |= {client.get(f"/zookeeper/quota/q{id}/zookeeper_stats") for id in kinds}
        assert len(counted) == 1 and counted.pop().startswith(b"count=3,bytes=10"), counted
        for id, client in clients.items():
            client.call(CREATE_CONTAINER, text(f"/container{id}") + text(b"") + OPEN_ACL + struct.pack(">i", 4))
            client.create(f"/container{id}/child")
            client.delete(f"/container{id}/child")
            client.call(CREATE_TTL, text(f"/short{id}") + text(b"") + OPEN_ACL + struct.pack(">iq", 5, 300))
            client.call(CREATE_TTL, text(f"/long{id}") + text(b"") + OPEN_ACL + struct.pack(">iq", 5, 600_000))
            assert client.exists(f"/short{id}") or client.exists(f"/long{id}")
        end = time.time() + 15
        left = sorted(["zookeeper"] + [f"{kind}{id}" for id in kinds for kind in ("long", "q")])
        while any(client.children("/") != left for client in clients.values()):
            assert time.time() < end, f"{[client.children('/') for client in clients.values()]}"
            time.sleep(0.2)
        ensemble.trees()
        return f"{ensemble.kinds[ensemble.leader()]} led"
    finally:
        os.environ.pop("JVMFLAGS")
        if flags is not None:
            os.environ["JVMFLAGS"] = flags
        ensemble.end()


def groups_and_weights(kinds):
    """Five members in three groups, the third member without weight. Two whole groups are a quorum with three members alive
    and one group is none with as many; who weighs nothing never leads."""
    lines = ["group.1=1:2:3", "group.2=4", "group.3=5"] + [f"weight.{id}={0 if id == 3 else 1}" for id in kinds]
    ensemble = scenario.Ensemble(kinds, extra=lines)
    try:
        ensemble.start()
        leaders = [ensemble.leader()]
        Client(ensemble.client(1)).create("/all")
        for id in (1, 2):
            ensemble.kill(id)
        leaders.append(ensemble.leader())
        Client(ensemble.client(3)).create("/two-groups")
        ensemble.start(1, 2)
        leaders.append(ensemble.leader())
        for id in (4, 5):
            ensemble.kill(id)
        time.sleep(4)
        end = time.time() + 4
        while time.time() < end:
            assert set(ensemble.modes().values()) == {""}, f"one group of three serves: {ensemble.modes()}"
            time.sleep(0.2)
        ensemble.start(4)
        leaders.append(ensemble.leader())
        Client(ensemble.client(2)).create("/again")
        ensemble.start(5)
        leaders.append(ensemble.leader())
        tree = ensemble.trees()
        assert all(path in tree for path in ("/all", "/two-groups", "/again")), tree
        assert 3 not in leaders, f"a member without weight has led: {leaders}"
        return f"led by {leaders}"
    finally:
        ensemble.end()


class Observed(scenario.Ensemble):
    """Three voters with an address each, since all of them serve observers on one port number, and a fourth member that
    observes."""

    def __init__(self, kinds):
        super().__init__(kinds)
        port = free_ports(1)[0]
        for id in kinds:
            with open(f"{self.folder}/{id}/zoo.cfg") as file:
                config = file.read()
            for n, p in self.ports.items():
                config = config.replace(f"server.{n}=127.0.0.1:{p[1]}", f"server.{n}=127.0.0.{n}:{p[1]}")
            last = f"127.0.0.4:{self.ports[4][1]}:{self.ports[4][2]}"
            config = config.replace(f"{last}:participant", f"{last}:observer")
            config += f"observerMasterPort={port}\nobserver.election.DelayMs=0\n" + ("peerType=observer\n" if id == 4 else "")
            with open(f"{self.folder}/{id}/zoo.cfg", "w") as file:
                file.write(config)

    def observed(self, patience=40):
        """Waits until the observer serves, and returns by whom it learns: the voters say how many observers they have."""
        end, found, roles = time.time() + patience, {}, {}
        while time.time() < end:
            roles = self.modes()
            found = {id: gauge(self, id, "zk_synced_observers") for id in roles if id != 4}
            if all(roles.values()) and roles[4] == "observer" and sorted(found.values())[-1:] == [1]:
                return next(id for id, count in found.items() if count == 1)
            time.sleep(0.1)
        raise AssertionError(f"{roles} {found}\n" + "\n".join(self.tail(id) for id in self.kinds))


def strangers_knock(ensemble, master):
    """What is no observer's greeting is sent away by a follower; an observer that nobody has configured is let in."""
    with open(f"{ensemble.folder}/{master}/zoo.cfg") as file:
        port = next(int(line.split("=")[1]) for line in file if line.startswith("observerMasterPort="))

    def packet(kind, data):
        return struct.pack(">iqi", kind, 0, len(data)) + data + struct.pack(">i", -1)

    def answer(data):
        with socket.create_connection((f"127.0.0.{master}", port), timeout=5) as knocking:
            knocking.sendall(data)
            try:
                return knocking.recv(4096)
            except ConnectionResetError:
                return b""
    info = struct.pack(">qiq", 77, 0x10000, 0)
    for data in (packet(11, info), packet(18, b"\0\0\0\1"), packet(16, info[:12] + struct.pack(">q", 1 << 40)),
                 b"GET / HTTP/1.1\r\n\r\n"):
        assert answer(data) == b"", f"{data!r} got an answer"
    assert answer(packet(16, info))[:4] == struct.pack(">i", 17), "an observer of a new id got no LEADERINFO"


def observer_master(kinds):
    """An observer learns from a follower, its clients write, sync, move there and back; then that follower is killed."""
    ensemble = Observed(kinds)
    try:
        ensemble.start(3, 2)
        assert ensemble.leader() == 3
        Client(ensemble.client(3)).create("/before", b"1")
        ensemble.start(1)
        ensemble.leader()
        ensemble.start(4)
        masters = []
        client = None
        for turn in range(3):
            master = ensemble.observed()
            assert master != 3, "the observer learns from the leader"
            strangers_knock(ensemble, master)
            masters.append(master)
            if client is None:
                client = Client(ensemble.client(4), timeout_ms=8000)
                session, password = client.session, client.password
                client.create("/ephemeral", b"", 1)
            else:
                client = Client(ensemble.client(4), timeout_ms=8000, session=session, password=password)
                assert client.session == session, "the session was not revalidated by way of the follower"
            direct = Client(ensemble.client(3), timeout_ms=8000)
            for number in range(20):
                direct.create(f"/direct-{turn}-{number}", b"y" * number)
                client.sync()
                assert client.exists(f"/direct-{turn}-{number}"), "a sync by way of a follower did not show the latest"
                client.create(f"/observed-{turn}-{number}", b"x" * number)
                assert client.get(f"/observed-{turn}-{number}") == b"x" * number
            assert direct.exists("/ephemeral")
            # Pings alone must keep the session: they travel by the follower.
            for _ in range(20 if turn == 0 else 0):
                time.sleep(0.5)
                client.ping()
                direct.ping()
            assert direct.exists("/ephemeral"), "a session whose client pings has expired"
            ensemble.trees()
            if turn < 2:
                moved = Client(ensemble.client(3), session=session, password=password)
                moved.sync()
                assert moved.exists("/ephemeral")
                moved.drop()
                ensemble.kill(master)
                time.sleep(1)
                ensemble.start(master)
                direct.end()
                ensemble.observed()
        # Away for a while: it gets in step from the follower.
        ensemble.kill(4)
        for number in range(30):
            direct.create(f"/away-{number}")
        ensemble.start(4)
        master = ensemble.observed()
        ensemble.trees()
        return f"{kinds[4]} observed by way of {[kinds[master] for master in masters + [master]]}, {kinds[3]} led"
    finally:
        ensemble.end()


FIVE_MIXED, FIVE_JAVA = {1: "ox", 2: "java", 3: "ox", 4: "java", 5: "ox"}, {id: "java" for id in range(1, 6)}
scenario.SCENARIOS = [
    (f"{who}-{name}", run, kinds)
    for name, run in [
        ("log-is-cut", lambda kinds: taken_back(kinds, 0)), ("leader-is-overruled", lambda kinds: taken_back(kinds, 3)), ("everything-is-copied", everything_is_copied), ("watches-move", watches_move),
        ("quotas-and-reaping", quotas_and_reaping),
    ]
    for who, kinds in [("java", JAVA3), ("ox", OX3), ("java-leads", JAVA_LEADS), ("ox-leads", OX_LEADS)]
] + [
    (f"{who}-groups-and-weights", groups_and_weights, kinds)
    for who, kinds in [("java", FIVE_JAVA), ("mixed", FIVE_MIXED)]
] + [
    (f"{who}-observer-master", observer_master, dict(enumerate(kinds, 1)))
    for who, kinds in [("java", ["java"] * 4), ("ox", ["ox"] * 4), ("java-observes", ["ox", "ox", "java", "java"]),
                       ("ox-observes", ["java", "java", "ox", "ox"])]
]

if __name__ == "__main__":
    sys.exit(scenario.main())
