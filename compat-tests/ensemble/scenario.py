#!/usr/bin/env python3
"""Ensembles of three on loopback, of Oxkeepers or mixed with Apache's server: who leads, who dies, and what must be left.

  scenario.py OXKEEPER [JAVA_SERVER] [NAME...]

OXKEEPER and JAVA_SERVER are commands that take a zoo.cfg. Without JAVA_SERVER ("-") the mixed scenarios are skipped aloud.
The last line is 'N passed, N failed, N skipped'.
"""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from zk import NO_NODE, Client, ZkError, mode, word


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Ensemble:
    def __init__(self, kinds, hosts=("127.0.0.1",), extra=()):
        self.kinds, self.folder = dict(kinds), tempfile.mkdtemp(prefix="ensemble-")
        self.processes = {}
        # The original reads this key in zoo.cfg too late.
        self.environment = {"SERVER_JVMFLAGS": "-Dzookeeper.multiAddress.enabled=true"} if len(hosts) > 1 else {}
        ports = free_ports(3 * len(self.kinds))
        self.ports = {id: ports[3 * at:3 * at + 3] for at, id in enumerate(self.kinds)}
        for id in self.kinds:
            home = f"{self.folder}/{id}"
            os.makedirs(f"{home}/data")
            with open(f"{home}/data/myid", "w") as file:
                file.write(f"{id}\n")
            lines = [f"dataDir={home}/data", "tickTime=500", "initLimit=20", "syncLimit=6", "admin.enableServer=false",
                     f"clientPort={self.client(id)}", "4lw.commands.whitelist=*", "preAllocSize=64"]
            lines += [f"server.{n}=" + "|".join(f"{host}:{p[1]}:{p[2]}" for host in hosts) + ":participant"
                      for n, p in self.ports.items()]
            if len(hosts) > 1:
                lines.append("multiAddress.enabled=true")
            lines += extra
            with open(f"{home}/zoo.cfg", "w") as file:
                file.write("\n".join(lines) + "\n")

    def client(self, id):
        return self.ports[id][0]

    def start(self, *ids):
        for id in ids or self.kinds:
            home = f"{self.folder}/{id}"
            log = open(f"{home}/log", "a")
            command = shlex.split(COMMANDS[self.kinds[id]]) + [f"{home}/zoo.cfg"]
            self.processes[id] = subprocess.Popen(command, stdout=log, stderr=log, cwd=home,
                                                  env={**os.environ, **self.environment})

    def kill(self, id, how=signal.SIGKILL):
        process = self.processes.pop(id)
        process.send_signal(how)
        process.wait(30)

    def modes(self):
        return {id: mode(self.client(id)) for id in self.processes}

    def leader(self, patience=40):
        """Waits until everybody that runs serves and one leads."""
        end = time.time() + patience
        while time.time() < end:
            modes = self.modes()
            if sorted(modes.values()) == ["follower"] * (len(modes) - 1) + ["leader"]:
                return next(id for id, role in modes.items() if role == "leader")
            for id, process in self.processes.items():
                assert process.poll() is None, f"member {id} has ended with {process.returncode}: {self.tail(id)}"
            time.sleep(0.1)
        raise AssertionError(f"no leader: {self.modes()}\n" + "\n".join(self.tail(id) for id in self.kinds))

    def tail(self, id):
        with open(f"{self.folder}/{id}/log", errors="replace") as file:
            return f"--- member {id} ({self.kinds[id]})\n" + "".join(file.readlines()[-25:])

    def trees(self):
        """Everybody's tree as text; waits until they are equal, for members follow one after the other."""
        for _ in range(100):
            try:
                found = {id: self.tree(id) for id in self.processes}
            except ZkError as error:
                # A session that ended takes its nodes with it, while they are being read here.
                if error.code != NO_NODE:
                    raise
                found = {}
            if len(set(found.values())) == 1:
                self.check_digests()
                return next(iter(found.values()))
            time.sleep(0.1)
        raise AssertionError(f"the trees differ: {found}")

    def check_digests(self):
        """Members compare the digest of their tree with what the leader's transactions say."""
        for id in self.processes:
            lines = [line for line in word(self.client(id), "mntr").splitlines() if "digest_mismatches" in line]
            assert lines == ["zk_digest_mismatches_count\t0"], f"member {id}: {lines}"

    def tree(self, id):
        client, out = Client(self.client(id)), []
        client.sync()

        def visit(path):
            stat = client.exists(path)
            out.append(f"{path} {client.get(path)!r} {stat.hex()}")
            for name in client.children(path):
                if path != "/" or name != "zookeeper":
                    visit(f"{path.rstrip('/')}/{name}")
        for name in client.children("/"):
            if name != "zookeeper":
                visit("/" + name)
        client.end()
        return "\n".join(out)

    def end(self):
        for id in list(self.processes):
            self.kill(id)
        if not os.environ.get("ENSEMBLE_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)


class Load(threading.Thread):
    """Writes through any member and remembers what was acknowledged."""

    def __init__(self, ensemble, name):
        super().__init__(daemon=True)
        self.ensemble, self.name_, self.acknowledged, self.stopping = ensemble, name, [], False

    def run(self):
        at, number, client = 0, 0, None
        while not self.stopping:
            try:
                if client is None:
                    ids = list(self.ensemble.processes)
                    at += 1
                    client = Client(self.ensemble.client(ids[at % len(ids)]), wait=3)
                path = f"/{self.name_}-{number}"
                number += 1
                client.create(path, b"x" * (number % 300))
                self.acknowledged.append(path)
            except ZkError:
                client = None
            except (OSError, ValueError, ZeroDivisionError):
                client = None
                time.sleep(0.05)

    def finish(self):
        self.stopping = True
        self.join(20)
        return self.acknowledged


def check_everything(ensemble, acknowledged):
    tree = ensemble.trees()
    there = {line.split(" ", 1)[0] for line in tree.splitlines()}
    lost = [path for path in acknowledged if path not in there]
    assert not lost, f"{len(lost)} of {len(acknowledged)} acknowledged writes are lost, such as {lost[:3]}"
    return len(there)


def through_every_member(ensemble):
    """Clients of each member write and read, a sync shows everything, a session moves and its ephemeral stays."""
    clients = {id: Client(ensemble.client(id)) for id in ensemble.kinds}
    configurations = {client.get("/zookeeper/config") for client in clients.values()}
    expected = [f"server.{n}=127.0.0.1:{p[1]}:{p[2]}:participant" for n, p in ensemble.ports.items()] + ["version=0"]
    assert configurations == {"\n".join(expected).encode()}, configurations
    base = f"/base-{time.time_ns()}"
    next(iter(clients.values())).create(base)
    for id, client in clients.items():
        client.sync()
        client.create(f"{base}/from-{id}", str(id).encode())
        client.set(f"{base}/from-{id}", b"set")
        assert client.get(f"{base}/from-{id}") == b"set"
        try:
            client.create(f"{base}/from-{id}")
            raise AssertionError("it exists, and was made again")
        except ZkError as error:
            assert error.code == -110, error.code
        if set(ensemble.kinds.values()) == {"ox"}:
            try:
                client.call(5, b"\0\0\0")
                raise AssertionError("that was no setData")
            except ZkError as error:
                assert error.code == -5, error.code
    for client in clients.values():
        client.sync()
        assert client.children(base) == sorted(f"from-{id}" for id in clients)
    ids = list(clients)
    for one, other in zip(ids, ids[1:] + ids[:1]):
        first = Client(ensemble.client(one), timeout_ms=6000)
        assert first.session >> 56 == one, f"session {first.session:x} of member {one}"
        first.create(f"{base}/ephemeral-{one}", b"", 1)
        second = Client(ensemble.client(other), session=first.session, password=first.password)
        assert second.session == first.session
        try:
            first.create(f"{base}/moved-{one}")
            raise AssertionError("the session has moved, and its old connection still writes")
        except (ZkError, ConnectionError) as error:
            assert not isinstance(error, ZkError) or error.code == -118, error.code
        second.sync()
        assert second.exists(f"{base}/ephemeral-{one}")
        second.end()
        clients[other].sync()
        assert clients[other].exists(f"{base}/ephemeral-{one}") is None
    lost = Client(ensemble.client(ids[0]), timeout_ms=2000)
    lost.create(f"{base}/expires", b"", 1)
    lost.drop()
    kept = Client(ensemble.client(ids[1]), timeout_ms=2000)
    kept.create(f"{base}/kept", b"", 1)
    for _ in range(12):
        time.sleep(0.5)
        kept.ping()
    clients[ids[0]].sync()
    assert clients[ids[0]].exists(f"{base}/expires") is None, "a session without a client did not expire"
    assert clients[ids[0]].exists(f"{base}/kept"), "a session that was heard has expired"
    kept.end()
    for client in clients.values():
        client.end()


def members_and_sessions(kinds):
    """With empty folders, the larger of the two that come first leads: the third."""
    ensemble = Ensemble(kinds)
    try:
        ensemble.start(3)
        end = time.time() + 20
        while not word(ensemble.client(3), "srvr") and time.time() < end:
            time.sleep(0.1)
        ensemble.start(2)
        assert ensemble.leader() == 3, ensemble.modes()
        ensemble.start(1)
        leader = ensemble.leader()
        through_every_member(ensemble)
        ensemble.trees()
        for id, role in ensemble.modes().items():
            assert f"zk_server_state\t{role}" in word(ensemble.client(id), "mntr")
        return f"member {leader}, {ensemble.kinds[leader]}, leads"
    finally:
        ensemble.end()


def leader_dies(kinds, times=3):
    """kill -9 of the leader under load; it comes back each time."""
    ensemble = Ensemble(kinds)
    try:
        ensemble.start()
        ensemble.leader()
        loads = [Load(ensemble, f"load{n}") for n in range(3)]
        for load in loads:
            load.start()
        waits = []
        for _ in range(times):
            time.sleep(2)
            leader = ensemble.leader()
            ensemble.kill(leader)
            started = time.time()
            ensemble.leader()
            waits.append(time.time() - started)
            time.sleep(1)
            ensemble.start(leader)
            ensemble.leader()
        acknowledged = [path for load in loads for path in load.finish()]
        assert len(acknowledged) > 100, f"only {len(acknowledged)} writes"
        nodes = check_everything(ensemble, acknowledged)
        return f"{len(acknowledged)} acknowledged, {nodes} nodes, led again after {max(waits):.1f} s at most"
    finally:
        ensemble.end()


def leader_stops(kinds):
    """The leader is asked to stop while a write waits for its quorum: its client gets the answer, and others lead on."""
    ensemble = Ensemble(kinds)
    try:
        ensemble.start()
        leader = ensemble.leader()
        assert kinds[leader] == "ox", f"member {leader} leads"
        others = [process for id, process in ensemble.processes.items() if id != leader]
        client = Client(ensemble.client(leader), timeout_ms=20000)
        session, password = client.session, client.password
        client.create("/before", b"", 1)
        for process in others:
            process.send_signal(signal.SIGSTOP)
        answers = []
        writer = threading.Thread(target=lambda: answers.append(client.create("/waits", b"", 1)))
        writer.start()
        time.sleep(0.1)
        assert not answers, "without a quorum nothing is acknowledged"
        ensemble.processes[leader].send_signal(signal.SIGTERM)
        time.sleep(0.2)
        for process in others:
            process.send_signal(signal.SIGCONT)
        writer.join(5)
        assert answers == ["/waits"], "the leader has ended without an answer"
        ensemble.kill(leader, signal.SIGTERM)
        stopped = time.time()
        second = ensemble.leader()
        waited = time.time() - stopped
        again = Client(ensemble.client(second), timeout_ms=20000, session=session, password=password)
        again.sync()
        assert again.exists("/before") and again.exists("/waits"), "an acknowledged write or the session is lost"
        ensemble.start(leader)
        ensemble.leader()
        ensemble.trees()
        again.end()
        return f"led again after {waited:.1f} s, the session goes on"
    finally:
        for process in ensemble.processes.values():
            process.send_signal(signal.SIGCONT)
        ensemble.end()


def everybody_dies(kinds):
    ensemble = Ensemble(kinds)
    try:
        ensemble.start()
        ensemble.leader()
        load = Load(ensemble, "load")
        load.start()
        time.sleep(3)
        for id in list(ensemble.processes):
            ensemble.kill(id)
        acknowledged = load.finish()
        ensemble.start()
        ensemble.leader()
        nodes = check_everything(ensemble, acknowledged)
        return f"{len(acknowledged)} acknowledged, {nodes} nodes"
    finally:
        ensemble.end()


def empty_member_joins(kinds):
    """A member that lost its disk, or comes late, copies everything; another one catches up from memory."""
    ensemble = Ensemble(kinds)
    ids = list(kinds)
    try:
        ensemble.start(*ids[1:])
        ensemble.leader()
        load = Load(ensemble, "load")
        load.start()
        time.sleep(3)
        ensemble.start(ids[0])
        ensemble.leader()
        time.sleep(1)
        ensemble.kill(ids[0])
        time.sleep(0.3)
        ensemble.start(ids[0])
        ensemble.leader()
        nodes = check_everything(ensemble, load.finish())
        return f"{nodes} nodes"
    finally:
        ensemble.end()


def member_was_away(kinds):
    """A member misses more than a leader remembers, and gets it from the log files: nothing is copied as a whole."""
    ensemble = Ensemble(kinds)
    ids = list(kinds)
    try:
        ensemble.start()
        ensemble.leader()
        # A member without any transaction gets a copy.
        Client(ensemble.client(ids[0])).create("/first", b"")
        ensemble.kill(ids[0])
        ensemble.leader()
        load = Load(ensemble, "load")
        load.start()
        while len(load.acknowledged) < 2000:
            time.sleep(0.1)
        begun = time.time()
        ensemble.start(ids[0])
        leader = ensemble.leader()
        took = time.time() - begun
        nodes = check_everything(ensemble, load.finish())
        if kinds[leader] == "ox":
            text = open(f"{ensemble.folder}/{leader}/log").read()
            assert f"a member gets what it lacks from the log files member={ids[0]}" in text, ensemble.tail(leader)
        return f"{nodes} nodes, back after {took:.1f} s"
    finally:
        ensemble.end()


def rolling_migration(kinds):
    """Java to Oxkeeper and back, one member at a time, with a load and a session that must live through it."""
    ensemble = Ensemble(kinds)
    try:
        ensemble.start()
        ensemble.leader()
        load = Load(ensemble, "load")
        load.start()
        ids = list(kinds)
        session = Client(ensemble.client(ids[0]), timeout_ms=10000)
        session.create("/ephemeral", b"", 1)
        for kind in ("ox", kinds[ids[0]]):
            for id in ids:
                ensemble.leader()
                ensemble.kill(id, signal.SIGTERM)
                ensemble.kinds[id] = kind
                ensemble.start(id)
                ensemble.leader()
                other = next(one for one in ids if one != id)
                session = Client(ensemble.client(other), session=session.session, password=session.password)
        assert session.exists("/ephemeral"), "the session is lost"
        nodes = check_everything(ensemble, load.finish())
        return f"{len(load.acknowledged)} acknowledged, {nodes} nodes"
    finally:
        ensemble.end()


def several_addresses(kinds):
    """Each member has two addresses. Everybody dies once, so that all connections are made again."""
    ensemble = Ensemble(kinds, hosts=("127.0.0.1", "127.0.0.2"))
    try:
        ensemble.start()
        leader = ensemble.leader()
        load = Load(ensemble, "load")
        load.start()
        for id in kinds:
            time.sleep(1)
            ensemble.kill(id)
            ensemble.start(id)
            leader = ensemble.leader()
        nodes = check_everything(ensemble, load.finish())
        line = [line for line in Client(ensemble.client(leader)).get("/zookeeper/config").decode().splitlines() if "|" in line]
        assert len(line) == len(kinds), line
        return f"{len(load.acknowledged)} acknowledged, {nodes} nodes"
    finally:
        ensemble.end()


OX3 = {1: "ox", 2: "ox", 3: "ox"}
JAVA_LEADS = {1: "ox", 2: "ox", 3: "java"}
OX_LEADS = {1: "java", 2: "java", 3: "ox"}
OX_SMALLEST = {1: "ox", 2: "java", 3: "java"}
JAVA3 = {1: "java", 2: "java", 3: "java"}
SCENARIOS = [
    ("ox-members", members_and_sessions, OX3),
    ("ox-leader-dies", leader_dies, OX3),
    ("ox-leader-stops", leader_stops, OX3),
    ("mixed-leader-stops", leader_stops, OX_LEADS),
    ("ox-everybody-dies", everybody_dies, OX3),
    ("ox-empty-member", empty_member_joins, OX3),
    ("ox-was-away", member_was_away, OX3),
    ("java-leads", members_and_sessions, JAVA_LEADS),
    ("ox-leads", members_and_sessions, OX_LEADS),
    ("ox-joins-java", members_and_sessions, OX_SMALLEST),
    ("ox-empty-joins-java", empty_member_joins, OX_SMALLEST),
    ("ox-survives-java-leader", leader_dies, OX_SMALLEST),
    ("mixed-leader-dies", leader_dies, {1: "ox", 2: "java", 3: "ox"}),
    ("mixed-leader-dies-java", leader_dies, OX_LEADS),
    ("mixed-empty-member", empty_member_joins, JAVA_LEADS),
    ("mixed-empty-java-member", empty_member_joins, OX_LEADS),
    ("mixed-was-away", member_was_away, JAVA_LEADS),
    ("mixed-java-was-away", member_was_away, OX_LEADS),
    ("ox-addresses", several_addresses, OX3),
    ("mixed-addresses", several_addresses, OX_LEADS),
    ("java-addresses", several_addresses, JAVA_LEADS),
    ("rolling-migration", rolling_migration, JAVA3),
    # With servers of the line before, 3.8.
    ("java38-leads", members_and_sessions, {1: "ox", 2: "java", 3: "java38"}),
    ("ox-leads-java38", members_and_sessions, {1: "java38", 2: "java", 3: "ox"}),
    ("mixed-leader-dies-java38", leader_dies, {1: "java38", 2: "ox", 3: "java"}),
    ("java38-empty-member", empty_member_joins, {1: "java38", 2: "ox", 3: "ox"}),
    ("ox-empty-joins-java38", empty_member_joins, {1: "ox", 2: "java38", 3: "java38"}),
    ("rolling-migration-java38", rolling_migration, {1: "java38", 2: "java38", 3: "java38"}),
]


def main():
    names, passed, failed, skipped = sys.argv[3:], 0, 0, 0
    for name, run, kinds in SCENARIOS:
        if names and name not in names:
            continue
        if set(kinds.values()) != {"ox"} and COMMANDS["java"] == "-":
            print(f"SKIPPED {name}: no Java server")
            skipped += 1
            continue
        started = time.time()
        try:
            said = run(kinds)
            print(f"ok      {name}: {said} ({time.time() - started:.0f} s)", flush=True)
            passed += 1
        except Exception as error:  # a scenario tells everything in its exception
            print(f"FAILED  {name}: {type(error).__name__}: {error}", flush=True)
            traceback.print_exc()
            failed += 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


def absolute(command):
    """Members run in folders of their own."""
    words = shlex.split(command)
    return shlex.join([os.path.abspath(words[0]) if "/" in words[0] else words[0]] + words[1:])


COMMANDS = {"ox": absolute(sys.argv[1]), "java": absolute(sys.argv[2]) if len(sys.argv) > 2 else "-"}
COMMANDS["java38"] = f"env JAVA_POM=zookeeper-3.8 {COMMANDS['java']}"
if __name__ == "__main__":
    sys.exit(main())
