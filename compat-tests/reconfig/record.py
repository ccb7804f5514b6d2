#!/usr/bin/env python3
"""Asks ensembles of Apache's own servers to reconfigure, and keeps what they answer and what they leave on disk.

  record.py JAVA_SERVER ANSWERS FILES

ANSWERS is src/engine/prepare/testdata/reconfig-answers.txt, FILES the folder src/membership/testdata/reconfig: both are test
data of the server. Run it again only when a case is added. Ports are written as 1N001 to 1N004 for member N: those that
the recorded ensemble had by chance must not be in the files.
"""

import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "ensemble"))
from zk import Client, ZkError, mode, text, word  # noqa: E402

JAVA, ANSWERS, FILES = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3]
SUPER = "super:pw"
SUPER_DIGEST = "super:0bX78nEegDzJM3ju0iLBEJdWzjg="


def ports(count):
    free = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib", "free_ports.py")
    first = int(subprocess.check_output([sys.executable, free, str(count)], text=True).split()[0])
    return list(range(first, first + count))


class Ensemble:
    """`members` are started; `listed` maps each to the members its own zoo.cfg lists."""

    def __init__(self, ids, extra=(), static_client=False, lines=None, listed=None):
        self.folder = tempfile.mkdtemp(prefix="record-")
        all_ports = ports(4 * 9)
        self.ports = {id: all_ports[4 * at:4 * at + 4] for at, id in enumerate(range(1, 10))}
        self.ids, self.processes, self.configs = list(ids), {}, {}
        for id in self.ids:
            home = f"{self.folder}/{id}"
            os.makedirs(f"{home}/data")
            with open(f"{home}/data/myid", "w") as file:
                file.write(f"{id}\n")
            config = ["# a comment", f"dataDir={home}/data", "tickTime=500", "initLimit=20", "syncLimit=6",
                      "admin.enableServer=false", "4lw.commands.whitelist=*", "preAllocSize=64",
                      f"DigestAuthenticationProvider.superDigest={SUPER_DIGEST}", *extra]
            if static_client:
                config.append(f"clientPort={self.ports[id][0]}")
            config += lines if lines is not None else []
            config += [self.line(n, client=not static_client) for n in (listed or {}).get(id, self.ids)]
            self.configs[id] = "\n".join(self.real(line) for line in config) + "\n"
            with open(f"{home}/zoo.cfg", "w") as file:
                file.write(self.configs[id])

    def line(self, id, role="participant", client=True):
        c, q, e, _ = self.ports[id]
        return f"server.{id}=127.0.0.1:{q}:{e}:{role}" + (f";127.0.0.1:{c}" if client else "")

    def real(self, words):
        """Ports as they are, from ports as they are written."""
        for id, four in self.ports.items():
            for at, port in enumerate(four):
                words = words.replace(f"1{id}00{at + 1}", str(port))
        return words

    def written(self, words):
        for id, four in self.ports.items():
            for at, port in enumerate(four):
                words = words.replace(str(port), f"1{id}00{at + 1}")
        return words.replace(self.folder, "/zk")

    def start(self, *ids):
        for id in ids or self.ids:
            home = f"{self.folder}/{id}"
            log = open(f"{home}/log", "a")
            self.processes[id] = subprocess.Popen([JAVA, f"{home}/zoo.cfg"], stdout=log, stderr=log, cwd=home)

    def wait(self, *ids, patience=60):
        end = time.time() + patience
        while time.time() < end:
            modes = [mode(self.ports[id][0]) for id in ids or self.processes]
            if all(modes):
                return
            time.sleep(0.2)
        raise AssertionError(f"not serving: {self.folder} {modes}")

    def leader(self, patience=60):
        end = time.time() + patience
        while time.time() < end:
            for id in self.processes:
                if mode(self.ports[id][0]) == "leader":
                    return id
            time.sleep(0.2)
        raise AssertionError("no leader")

    def client(self, id, admin=True):
        client = Client(self.ports[id][0], timeout_ms=10000, wait=15)
        if admin:
            client.call(100, struct.pack(">i", 0) + text("digest") + text(SUPER), -4)
        return client

    def end(self):
        for process in self.processes.values():
            process.kill()
            process.wait()
        shutil.rmtree(self.folder)


def ustring(value):
    return struct.pack(">i", -1) if value is None else text(value)


def reconfig(client, joining=None, leaving=None, members=None, version=-1):
    body = ustring(joining) + ustring(leaving) + ustring(members) + struct.pack(">q", version)
    answer = client.call(16, body)
    length = struct.unpack_from(">i", answer)[0]
    return answer[4:4 + length].decode(), answer[4 + length:]


OUT = []


def quoted(value):
    return "null" if value is None else '"' + value.replace("\n", "\\n") + '"'


def case(ensemble, client, name, joining=None, leaving=None, members=None, version=-1, who="super", settings="", synced=""):
    current = config(client)
    if version == "current":
        version = int(current.rsplit("version=", 1)[1], 16)
    OUT.append(f"=== {name}")
    OUT.append(f"settings {settings}".rstrip())
    OUT.append(f"who {who}")
    OUT.append(f"synced {synced}")
    OUT.append(f"current {quoted(ensemble.written(current))}")
    OUT.append(f"joining {quoted(joining)}")
    OUT.append(f"leaving {quoted(leaving)}")
    OUT.append(f"members {quoted(members)}")
    OUT.append(f"version {version}")
    real = [None if words is None else ensemble.real(words) for words in (joining, leaving, members)]
    try:
        said, stat = reconfig(client, *real, version)
    except ZkError as error:
        OUT.append(f"error {error.code}")
        print(name, error.code, flush=True)
        return
    czxid, mzxid, _, _, node_version = struct.unpack_from(">qqqqi", stat)
    OUT.append(f"zxid {client.zxid}")
    OUT.append(f"new {quoted(ensemble.written(said))}")
    assert mzxid == client.zxid and czxid == 0 and node_version == -1, stat.hex()
    print(name, "ok", flush=True)


def config(client):
    return client.get("/zookeeper/config").decode()


def majority():
    """The checks of a majority system, with server 4 listed and never started."""
    ensemble = Ensemble([1, 2, 3], ["reconfigEnabled=true"])
    ensemble.start()
    ensemble.wait()
    leader = ensemble.leader()
    client, nobody = ensemble.client(leader), ensemble.client(leader, admin=False)
    line = lambda id, role="participant": f"server.{id}=127.0.0.1:1{id}002:1{id}003:{role};127.0.0.1:1{id}001"  # noqa: E731
    ask = lambda name, **words: case(ensemble, client, name, synced="1 2 3", **words)  # noqa: E731
    anon = lambda name, **words: case(ensemble, nobody, name, who="nobody", synced="1 2 3", **words)  # noqa: E731
    anon("nobody may", leaving="3")
    anon("nobody, wrong version", leaving="3", version=7)
    anon("nobody, bad arguments", joining="server.4=h:1")
    anon("nobody, no quorum", members=",".join([line(3), line(5), line(6)]))
    ask("wrong version", leaving="3", version=7)
    ask("wrong version and bad arguments", joining="x", version=7)
    ask("leaving is no number", leaving="x")
    ask("leaving is negative", leaving="-3")
    ask("leaving with plus", leaving="+9")
    ask("leaving with blanks", leaving=" 9 , , 8")
    ask("leaving empty", leaving="")
    ask("leaving with tab", leaving="\t9")
    ask("leaving too long", leaving="99999999999999999999")
    ask("leaving all but one", leaving="1,2")
    ask("leaving all", leaving="1,2,3")
    ask("joining empty", joining="")
    ask("joining without equals", joining="server.4")
    ask("joining with two equals", joining="server.4=h:1:2;3=4")
    ask("joining id is no number", joining="server.x=127.0.0.1:14002:14003;14001")
    ask("joining without client", joining="server.4=127.0.0.1:14002:14003:observer")
    ask("joining with an empty client", joining="server.4=127.0.0.1:14002:14003:observer;")
    ask("joining without election", joining="server.4=127.0.0.1:14002;14001")
    ask("joining with a strange role", joining="server.4=127.0.0.1:14002:14003:king;14001")
    ask("joining with equal ports", joining="server.4=127.0.0.1:14002:14002;14001")
    ask("joining with a port that is no number", joining="server.4=127.0.0.1:14002:x;14001")
    ask("joining with a port too large", joining="server.4=127.0.0.1:14002:70000;14001")
    ask("joining with a client port too large", joining="server.4=127.0.0.1:14002:14003;70000")
    ask("joining with a negative port", joining="server.4=127.0.0.1:-1:14003;14001")
    ask("joining with two clients", joining="server.4=127.0.0.1:14002:14003;14001;14004")
    ask("joining with several addresses", joining="server.4=127.0.0.1:14002:14003|127.0.0.2:14002:14003;14001")
    ask("joining on another's loopback port", joining="server.4=127.0.0.1:12002:14003:observer;127.0.0.1:14001")
    ask("back", leaving="4")
    ask("joining on another's address", joining="server.4=10.9.8.7:2888:3888:observer;127.0.0.1:14001,"
        "server.5=10.9.8.7:2888:3889:observer;127.0.0.1:15001")
    ask("joining where election meets quorum", joining="server.4=10.9.8.7:2888:3888:observer;127.0.0.1:14001,"
        "server.5=10.9.8.7:2889:2888:observer;127.0.0.1:15001")
    ask("joining where client meets quorum", joining="server.4=10.9.8.7:2888:3888:observer;127.0.0.1:14001,"
        "server.5=10.9.8.6:2889:2888:observer;10.9.8.7:2888")
    ask("joining with one host and other ports", joining="server.4=10.9.8.7:2888:3888:observer;127.0.0.1:14001,"
        "server.5=10.9.8.7:2889:3889:observer;127.0.0.1:15001")
    ask("both leaving again", leaving="4,5")
    ask("joining on a wildcard client", joining="server.4=127.0.0.1:14002:14003:observer;14001,"
        "server.5=127.0.0.1:15002:15003:observer;14001")
    ask("these leaving again", leaving="4, 5")
    ask("joining without the prefix", joining="4=127.0.0.1:14002:14003:observer;14001", version="current")
    ask("joining with another prefix", joining="a.b.5=127.0.0.1:15002:15003:observer;15001")
    ask("leaving and joining the same", leaving="4", joining="server.4=127.0.0.1:14002:14003:OBSERVER;127.0.0.1:14004")
    ask("blanks everywhere", joining=" server.6 = 127.0.0.1:16002:16003:observer;16001 , ", leaving=" 4 ,5 ")
    ask("six leaves", leaving="6")
    ask("all null")
    ask("a voter that is not there", joining="server.4=127.0.0.1:14002:14003:participant;14001")
    ask("another that is not there", joining="server.5=127.0.0.1:15002:15003:participant;15001")
    ask("two more, which is no quorum", joining=f"{line(6)},{line(7)}")
    ask("leaving so that no quorum is left", leaving="1,2")
    ask("the absent leave", leaving="4,5")
    ask("order of many", joining=",".join(line(id, "observer") for id in (9, 5, 7)))
    ask("the many leave", leaving="9,5,7")
    ask("large ids", joining="server.16=127.0.0.1:14002:14003:observer;14001,server.33=127.0.0.1:15002:15003:observer;15001")
    ask("large ids leave", leaving="16,33")
    whole = ",".join(line(id) for id in (1, 2, 3))
    ask("members as they are", members=whole)
    ask("members on lines", members=whole.replace(",", "\n"))
    ask("members with blanks", members=whole.replace("=", " = ").replace(",", " ,\n  "))
    ask("members empty", members="")
    ask("members with a comment", members="# all of them\n" + whole)
    ask("members with a version", members=whole + ",version=77")
    ask("members with a version that is none", members=whole + ",version=zz")
    ask("members with an unknown key", members=whole + ",tickTime=2000")
    ask("members with one", members=line(3))
    ask("members with one and an observer", members=line(3) + "," + line(2, "observer"))
    ask("members with observers alone", members=line(3, "observer"))
    ask("members with a bad address", members=whole + ",server.4=h")
    ask("members with a bad id", members=whole + ",server.x=127.0.0.1:14002:14003;14001")
    ask("members without clients", members=",".join(line(id).split(";")[0] for id in (1, 2, 3)))
    ask("members with clients again", members=whole)
    ask("members and joining", members=whole, joining="nonsense", leaving="x")
    ask("members given twice", members=whole + "," + line(2))
    ask("members with clashing addresses", members=whole + ",server.4=10.9.8.7:2888:3888:observer;1,"
        "server.5=10.9.8.7:2888:3888:observer;1")
    ask("members with a broken escape", members=whole + "\n\\u12")
    ask("members with groups", members=whole + ",group.1=1:2,group.2=3,weight.1=1,weight.2=1,weight.3=1")
    ask("incremental on groups", leaving="3")
    ask("members with a group without a voter", members=whole + ",group.1=1:2,weight.1=1")
    ask("members with a stranger in a group", members=whole + ",group.1=1:2:3:9")
    ask("members with a group twice", members=whole + ",group.1=1:2:3,group.2=3")
    ask("members with weights alone", members=whole + ",weight.1=1")
    ask("members with a weight that is none", members=whole + ",group.1=1:2:3,weight.1=x")
    ask("members with groups that have no quorum", members=whole + "," + line(4) + "," + line(5)
        + ",group.1=1:2:3,group.2=4,group.3=5")
    ask("members with a heavy absent one", members=whole + "," + line(4) + ",group.1=1:2:3:4,weight.4=9")
    ask("members with groups, one weightless", members=whole + "," + line(4) + ",group.1=1:2:3,group.2=4,weight.4=0")
    ask("members without groups", members=whole)
    ensemble.end()


def others():
    for settings, extra in (("disabled", []), ("skipACL", ["reconfigEnabled=true", "skipACL=yes"]),
                            ("standaloneEnabled=false", ["reconfigEnabled=true", "standaloneEnabled=false"])):
        ensemble = Ensemble([1, 2, 3], extra)
        ensemble.start()
        ensemble.wait()
        leader = ensemble.leader()
        client, nobody = ensemble.client(leader), ensemble.client(leader, admin=False)
        case(ensemble, nobody, f"{settings}: nobody", leaving="9", who="nobody", settings=settings, synced="1 2 3")
        case(ensemble, client, f"{settings}: wrong version", leaving="x", version=7, settings=settings, synced="1 2 3")
        if settings.startswith("standalone"):
            case(ensemble, client, f"{settings}: none", leaving="1,2,3", settings=settings, synced="1 2 3")
            case(ensemble, client, f"{settings}: members empty", members="", settings=settings, synced="1 2 3")
            line = f"server.{leader}=127.0.0.1:1{leader}002:1{leader}003:participant;127.0.0.1:1{leader}001"
            case(ensemble, client, f"{settings}: one and an observer", members=line
                 + ",server.9=127.0.0.1:19002:19003:observer;19001", settings=settings, synced="1 2 3")
            case(ensemble, client, f"{settings}: one", leaving="9", settings=settings, synced=str(leader))
            case(ensemble, client, f"{settings}: the last", leaving=str(leader), settings=settings, synced=str(leader))
        ensemble.end()


def standalone():
    """A server alone has nobody to talk to."""
    ensemble = Ensemble([1], ["reconfigEnabled=true"], static_client=True, listed={1: []})
    ensemble.start()
    ensemble.wait()
    client = ensemble.client(1)
    try:
        reconfig(client, leaving="3")
        raise AssertionError("it did")
    except ZkError as error:
        OUT.extend(["=== alone", "settings alone", "who super", "synced", 'current ""', "joining null", 'leaving "3"',
                    "members null", "version -1", f"error {error.code}"])
    ensemble.end()


def keep(ensemble, name, step):
    for id in ensemble.ids[:1]:
        home = f"{ensemble.folder}/{id}"
        for file in sorted(os.listdir(home)):
            if file.startswith("zoo.cfg"):
                target = f"{FILES}/{name}/{step}/{id}"
                os.makedirs(target, exist_ok=True)
                with open(f"{home}/{file}") as source, open(f"{target}/{file}", "w") as out:
                    out.write(ensemble.written(source.read()))


def files():
    """What a sequence of reconfigurations leaves in the folder of zoo.cfg."""
    shutil.rmtree(FILES, ignore_errors=True)
    for name, static_client, more in (("in-line", False, []), ("static", True, [])):
        ensemble = Ensemble([1, 2, 3], ["reconfigEnabled=true", "peerType=participant", "maxClientCnxns=7",
                                        "autopurge.purgeInterval=0", "snapCount=1000", "globalOutstandingLimit=500",
                                        "nonsense.key = a b  ", "znode.container.checkIntervalMs=1000",
                                        "forceSync:yes", "minSessionTimeout 1000"], static_client=static_client)
        keep(ensemble, name, "0-before")
        ensemble.start()
        ensemble.wait()
        client = ensemble.client(ensemble.leader())
        keep(ensemble, name, "1-started")
        steps = [("2-observer", dict(joining="server.4=127.0.0.1:14002:14003:observer;127.0.0.1:14001")),
                 ("3-all-null", {}),
                 ("4-client-in-line", dict(joining="server.1=127.0.0.1:11002:11003:participant;127.0.0.1:11001")),
                 ("5-groups", dict(members=",".join(ensemble.written(ensemble.line(id)) for id in (1, 2, 3))
                                   + ",group.1=1:2:3,weight.1=2,weight.2=1,weight.3=1"))]
        with open(f"{FILES}/{name}/steps.txt", "w") as out:
            for step, words in steps:
                said, _ = reconfig(client, **{key: ensemble.real(value) for key, value in words.items()})
                time.sleep(1)
                keep(ensemble, name, step)
                out.write(f"{step}\n{ensemble.written(said)}\n\n")
                print(name, step, flush=True)
        ensemble.end()


if __name__ == "__main__":
    which = sys.argv[4:] or ["majority", "others", "standalone", "files"]
    for name in which:
        globals()[name]()
    if OUT:
        with open(ANSWERS, "w") as file:
            file.write("\n".join(OUT) + "\n")
