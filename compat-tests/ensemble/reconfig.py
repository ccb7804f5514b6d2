#!/usr/bin/env python3
"""Ensembles whose members change while they run, of Oxkeepers or mixed with Apache's server.

  reconfig.py OXKEEPER [JAVA_SERVER] [NAME...]

Arguments and last line as of scenario.py.
"""

import os
import signal
import struct
import sys
import time

import scenario
from scenario import Load, check_everything, free_ports
from zk import Client, ZkError, mode, text

NO_QUORUM, IN_PROGRESS, BAD_VERSION = -13, -14, -103


def ustring(value):
    return struct.pack(">i", -1) if value is None else text(value)


class Dynamic(scenario.Ensemble):
    """Each member starts with the list of members it is told."""

    def __init__(self, kinds, extra=()):
        super().__init__(kinds)
        self.extra = list(extra)

    def line(self, id, role="participant", ports=None):
        client, quorum, election = ports or self.ports[id]
        return f"server.{id}=127.0.0.1:{quorum}:{election}:{role};127.0.0.1:{client}"

    def write(self, id, listed, extra=()):
        home = f"{self.folder}/{id}"
        lines = [f"dataDir={home}/data", "tickTime=500", "initLimit=20", "syncLimit=6", "admin.enableServer=false",
                 "4lw.commands.whitelist=*", "preAllocSize=64", "reconfigEnabled=true", "skipACL=yes", "# a remark",
                 *self.extra, *extra, *listed]
        with open(f"{home}/zoo.cfg", "w") as file:
            file.write("\n".join(lines) + "\n")

    def wait(self, id, *roles, patience=40):
        end = time.time() + patience
        while mode(self.client(id)) not in roles:
            if time.time() > end:
                raise AssertionError(f"member {id} is {mode(self.client(id))!r} and not {roles}: {self.modes()}\n" +
                                     "\n".join(self.tail(n) for n in self.processes))
            assert self.processes[id].poll() is None, f"member {id} has ended: {self.tail(id)}"
            time.sleep(0.1)

    def wait_for_roles(self, voters, observers=(), patience=40):
        """One of the voters leads, the others follow, the observers observe."""
        end = time.time() + patience
        while True:
            modes = self.modes()
            found = sorted(modes[id] for id in voters)
            if found == ["follower"] * (len(voters) - 1) + ["leader"] and all(modes[id] == "observer" for id in observers):
                return next(id for id in voters if modes[id] == "leader")
            if time.time() > end:
                raise AssertionError(f"roles: {modes}\n" + "\n".join(self.tail(id) for id in self.processes))
            time.sleep(0.1)

    def reconfig(self, through, joining=None, leaving=None, members=None, version=-1, patience=30):
        """Asks until a quorum of the new members is in step; returns the new configuration."""
        end = time.time() + patience
        while True:
            try:
                client = Client(self.client(through), wait=10)
                answer = client.call(16, ustring(joining) + ustring(leaving) + ustring(members) + struct.pack(">q", version))
                length = struct.unpack_from(">i", answer)[0]
                return answer[4:4 + length].decode()
            except ZkError as error:
                if error.code not in (NO_QUORUM, IN_PROGRESS) or time.time() > end:
                    raise
            except OSError:
                if time.time() > end:
                    raise
            time.sleep(0.2)

    def agree(self, *ids, patience=20):
        """All have the same configuration in the tree, and in their files."""
        end = time.time() + patience
        while True:
            try:
                texts = {id: Client(self.client(id)).get("/zookeeper/config").decode() for id in ids}
                version = next(iter(texts.values())).rsplit("version=", 1)[1]
                if len({tuple(sorted(found.split("\n"))) for found in texts.values()}) == 1 and \
                        all(self.on_disk(id, found) for id, found in texts.items()):
                    return version
                problem = f"{texts} and on disk {[os.listdir(f'{self.folder}/{id}') for id in ids]}"
            except (OSError, ZkError) as error:
                problem = error
            if time.time() > end:
                raise AssertionError(f"no agreement: {problem}\n" + "\n".join(self.tail(id) for id in self.processes))
            time.sleep(0.2)

    def on_disk(self, id, config):
        lines, version = config.split("\n")[:-1], config.rsplit("version=", 1)[1]
        home = f"{self.folder}/{id}"
        with open(f"{home}/zoo.cfg") as file:
            static = file.read()
        dynamic = f"{home}/zoo.cfg.dynamic.{version}"
        if f"dynamicConfigFile={dynamic}\n" not in static or "server." in static or not os.path.exists(dynamic):
            return False
        with open(dynamic) as file:
            return file.read() == "\n".join(sorted(lines)) and not os.path.exists(f"{home}/zoo.cfg.dynamic.next")


def refused(ensemble, through, joining, error):
    """It is not even proposed."""
    try:
        Client(ensemble.client(through)).call(16, ustring(joining) + ustring(None) + ustring(None) + struct.pack(">q", -1))
    except ZkError as refusal:
        assert refusal.code == error, f"{joining}: {refusal}"
        return
    raise AssertionError(f"{joining} was taken")


def watched(ensemble, through):
    """A client with a watch on the configuration."""
    client = Client(ensemble.client(through))
    client.call(4, text("/zookeeper/config") + b"\1")
    return client


def one_three_five_three(kinds):
    """From one server to five and back to three, under load; at the end the leader is removed."""
    ensemble = Dynamic(kinds, ["standaloneEnabled=false"])
    try:
        ensemble.write(1, [ensemble.line(1)])
        ensemble.start(1)
        ensemble.wait(1, "leader")
        watcher = watched(ensemble, 1)
        session = Client(ensemble.client(1), timeout_ms=20000)
        session.create("/ephemeral", b"", 1)
        load = Load(ensemble, "grow")
        load.start()
        members = [1]
        for id in list(kinds)[1:]:
            ensemble.write(id, [ensemble.line(n) for n in members] + [ensemble.line(id)])
            ensemble.start(id)
            # It is in nobody's list, and follows without a vote.
            ensemble.wait(id, "follower")
            if len(members) >= 3:
                # Those who vote are a quorum of the next configuration too; with fewer it must follow to be counted.
                ensemble.reconfig(members[0], joining=ensemble.line(id, "observer"))
                ensemble.wait_for_roles(members, [id])
            elif len(members) == 1:
                refused(ensemble, 1, "server.9=127.0.0.1:1:2:participant;3", NO_QUORUM)
            ensemble.reconfig(id, joining=ensemble.line(id))
            members.append(id)
            ensemble.wait_for_roles(members)
            ensemble.agree(*members)
        event = struct.unpack_from(">iqiii", watcher.frame())
        assert event[0] == -1 and event[3] == 3, f"the watch on the configuration was told {event}"
        leader = ensemble.wait_for_roles(members)
        leaving = [id for id in members if id != leader][:2]
        ensemble.reconfig(leader, leaving=",".join(map(str, leaving)))
        members = [id for id in members if id not in leaving]
        ensemble.agree(*members)
        for id in leaving:
            ensemble.kill(id)
        assert ensemble.wait_for_roles(members) == leader
        ensemble.reconfig(leader, leaving=str(leader))
        rest = [id for id in members if id != leader]
        began = time.time()
        second = ensemble.wait_for_roles(rest)
        took = time.time() - began
        ensemble.agree(*rest)
        ensemble.wait(leader, "follower")
        ensemble.kill(leader)
        session = Client(ensemble.client(second), session=session.session, password=session.password)
        assert session.exists("/ephemeral"), "the session is lost"
        nodes = check_everything(ensemble, load.finish())
        # What is on disk is enough to begin again.
        for id in rest:
            ensemble.kill(id)
        ensemble.start(*rest)
        ensemble.wait_for_roles(rest)
        ensemble.agree(*rest)
        check_everything(ensemble, load.acknowledged)
        return f"handed over in {took:.1f} s, {len(load.acknowledged)} acknowledged, {nodes} nodes"
    finally:
        ensemble.end()


def three(kinds, extra=()):
    ensemble = Dynamic(kinds, extra)
    for id in kinds:
        ensemble.write(id, [ensemble.line(n) for n in kinds])
    ensemble.start()
    ensemble.wait_for_roles(list(kinds))
    ensemble.agree(*kinds)
    return ensemble


def ports_change(kinds):
    """Every member moves to other ports, one after the other, the leader last; clients come along."""
    ensemble = three(kinds)
    try:
        load = Load(ensemble, "move")
        load.start()
        leader = ensemble.leader()
        kept = {}
        for id in [id for id in kinds if id != leader] + [leader]:
            kept[id] = Client(ensemble.client(id), timeout_ms=20000)
            ports = free_ports(3)
            ensemble.reconfig(leader, joining=ensemble.line(id, ports=ports))
            ensemble.ports[id] = ports
            leader = ensemble.wait_for_roles(list(kinds))
            ensemble.agree(*kinds)
        nodes = check_everything(ensemble, load.finish())
        for id in list(kinds):
            ensemble.kill(id)
        ensemble.start()
        ensemble.wait_for_roles(list(kinds))
        check_everything(ensemble, load.acknowledged)
        return f"{len(load.acknowledged)} acknowledged, {nodes} nodes"
    finally:
        ensemble.end()


def roles_change(kinds):
    """A voter becomes an observer and a voter again; whole lists; what is refused; the leader as an observer."""
    ensemble = three(kinds)
    try:
        leader = ensemble.leader()
        one, other = [id for id in kinds if id != leader]
        version = int(ensemble.agree(*kinds), 16)
        try:
            ensemble.reconfig(leader, leaving=str(one), version=version - 1)
            raise AssertionError("an old version was accepted")
        except ZkError as error:
            assert error.code == BAD_VERSION, error.code
        ensemble.reconfig(one, joining=ensemble.line(one, "observer"), version=version)
        ensemble.wait_for_roles([leader, other], [one])
        ensemble.agree(*kinds)
        ensemble.reconfig(other, members=",".join(ensemble.line(id) for id in kinds))
        assert ensemble.wait_for_roles(list(kinds)) == leader
        ensemble.agree(*kinds)
        ensemble.reconfig(leader, joining=ensemble.line(leader, "observer"))
        ensemble.wait_for_roles([one, other], [leader])
        ensemble.agree(*kinds)
        client = Client(ensemble.client(leader))
        client.create("/through-the-old-leader")
        check_everything(ensemble, ["/through-the-old-leader"])
        return f"{version:x} was the first version"
    finally:
        ensemble.end()


def killed_between(kinds):
    """The leader dies right after it was asked: the new leader finishes what was proposed, or forgets it; never half."""
    ensemble = three(kinds)
    try:
        load = Load(ensemble, "killed")
        load.start()
        outcomes = []
        for round in range(3):
            leader = ensemble.leader()
            one = next(id for id in kinds if id != leader)
            client = Client(ensemble.client(leader))
            role = "observer" if round % 2 == 0 else "participant"
            body = ustring(ensemble.line(one, role)) + ustring(None) + ustring(None) + struct.pack(">q", -1)
            frame = struct.pack(">ii", 7, 16) + body
            client.socket.sendall(struct.pack(">i", len(frame)) + frame)
            time.sleep(0.004 * round)
            ensemble.kill(leader)
            time.sleep(0.5)
            ensemble.start(leader)
            # Whatever became of it, all end up in one configuration.
            version = None
            for _ in range(60):
                try:
                    version = ensemble.agree(*kinds, patience=1)
                    break
                except AssertionError:
                    pass
            assert version, ensemble.agree(*kinds)
            config = Client(ensemble.client(leader)).get("/zookeeper/config").decode()
            observers = [id for id in kinds if f"server.{id}=" in config and f":observer;127.0.0.1:{ensemble.client(id)}" in config]
            voters = [id for id in kinds if id not in observers]
            ensemble.wait_for_roles(voters, observers)
            outcomes.append(len(observers))
            if observers:
                ensemble.reconfig(voters[0], members=",".join(ensemble.line(id) for id in kinds))
                ensemble.wait_for_roles(list(kinds))
        nodes = check_everything(ensemble, load.finish())
        return f"observers after each kill {outcomes}, {len(load.acknowledged)} acknowledged, {nodes} nodes"
    finally:
        ensemble.end()


def joins_while_proposed(kinds):
    """A member comes back while a reconfiguration that takes its vote is proposed and cannot be committed: it has its vote until then."""
    ensemble = three(kinds, ["syncLimit=30"])
    try:
        leader = ensemble.leader()
        back, stopped, *others = [id for id in kinds if id != leader]
        before = ensemble.agree(*kinds)
        ensemble.kill(back)
        stopped_process = ensemble.processes[stopped]
        client = Client(ensemble.client(leader), wait=40)
        stopped_process.send_signal(signal.SIGSTOP)
        try:
            body = ustring(None) + ustring(None) + \
                ustring(",".join(ensemble.line(id, "participant" if id in (leader, stopped) else "observer") for id in kinds)) + \
                struct.pack(">q", -1)
            frame = struct.pack(">ii", 7, 16) + body
            client.socket.sendall(struct.pack(">i", len(frame)) + frame)
            time.sleep(0.5)
            ensemble.start(back)
            ensemble.wait(back, "follower", patience=10)
            # Writes wait behind it, a session among them: so its files are asked.
            with open(f"{ensemble.folder}/{back}/zoo.cfg") as file:
                assert f".dynamic.{before}" in file.read(), "the proposed configuration is in force"
            assert os.path.exists(f"{ensemble.folder}/{back}/zoo.cfg.dynamic.next"), "the proposed configuration is not kept"
        finally:
            stopped_process.send_signal(signal.SIGCONT)
        ensemble.wait_for_roles([leader, stopped], [back, *others])
        after = ensemble.agree(*kinds)
        assert after != before
        return f"version {before} until its commit, then {after}"
    finally:
        ensemble.end()


OX3, OX5 = {id: "ox" for id in (1, 2, 3)}, {id: "ox" for id in (1, 2, 3, 4, 5)}
JAVA_FIRST = {1: "java", 2: "ox", 3: "ox", 4: "java", 5: "ox"}
OX_FIRST = {1: "ox", 2: "java", 3: "java", 4: "ox", 5: "java"}
scenario.SCENARIOS = [
    ("ox-1-3-5-3", one_three_five_three, OX5),
    ("ox-ports-change", ports_change, OX3),
    ("ox-roles-change", roles_change, OX3),
    ("ox-killed-between", killed_between, OX3),
    ("ox-joins-while-proposed", joins_while_proposed, OX5),
    ("java-joins-while-proposed", joins_while_proposed, {1: "java", 2: "java", 3: "ox", 4: "ox", 5: "ox"}),
    ("mixed-1-3-5-3-java-first", one_three_five_three, JAVA_FIRST),
    ("mixed-1-3-5-3-ox-first", one_three_five_three, OX_FIRST),
    ("mixed-ports-change-java-leads", ports_change, {1: "ox", 2: "ox", 3: "java"}),
    ("mixed-ports-change-ox-leads", ports_change, {1: "java", 2: "java", 3: "ox"}),
    ("mixed-roles-change-java-leads", roles_change, {1: "ox", 2: "ox", 3: "java"}),
    ("mixed-roles-change-ox-leads", roles_change, {1: "java", 2: "java", 3: "ox"}),
]

if __name__ == "__main__":
    sys.exit(scenario.main())
