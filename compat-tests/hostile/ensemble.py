"""Strangers and liars on the ports that only members should use, and operators' mistakes: an ensemble of three lives through the first,
serves meanwhile, keeps its memory bounded; and says what to do about the second. Prints PASS, FAIL and a last line of counts."""

import argparse
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from server import Client, create, free_port, word

MIB = 1 << 20
PATIENCE = 60
# Bytes that a process may grow by: the largest packets of every stranger that it hears at once, and threads for them.
MEMORY_MAX = 96 * MIB
LINES_MAX = 200
# The longest that a write may wait while strangers knock; a new election would take longer.
STALL_MAX = 10


class Ensemble:
    """Three members on loopback. `lines[id]`: what zoo.cfg of that member says in the place of the common server lines."""

    def __init__(self, command, ids=(1, 2, 3), myids=None, lines=None):
        self.command, self.home, self.processes = command, tempfile.mkdtemp(prefix="oxkeeper-ensemble."), {}
        self.ports = {id: [free_port() for _ in range(3)] for id in ids}
        self.common = [f"server.{id}=127.0.0.1:{p[1]}:{p[2]}" for id, p in self.ports.items()]
        for id in ids:
            data = f"{self.home}/{id}/data"
            os.makedirs(data)
            with open(f"{data}/myid", "w") as file:
                file.write(f"{(myids or {}).get(id, id)}\n")
            with open(f"{self.home}/{id}/zoo.cfg", "w") as file:
                own = (lines or {}).get(id, self.common)
                file.write("\n".join([f"dataDir={data}", f"clientPort={self.ports[id][0]}", "tickTime=500", "initLimit=20",
                                      "syncLimit=6", "admin.enableServer=false", "4lw.commands.whitelist=*", "preAllocSize=64",
                                      *own]) + "\n")

    def start(self, *ids):
        for id in ids or self.ports:
            log = open(f"{self.home}/{id}/log", "a")
            self.processes[id] = subprocess.Popen(["bash", "-c", f'exec {self.command} "$0"', f"{self.home}/{id}/zoo.cfg"],
                                                  stdout=log, stderr=log, cwd=f"{self.home}/{id}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes.values():
            process.kill()
            process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def mode(self, id):
        try:
            answer = word(self.ports[id][0], b"srvr", 2)
        except OSError:
            return ""
        return next((line[6:] for line in answer.splitlines() if line.startswith("Mode: ")), "")

    def leader(self, members=None):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            modes = {id: self.mode(id) for id in members or self.ports}
            if sorted(modes.values()) == ["follower"] * (len(modes) - 1) + ["leader"]:
                return next(id for id, mode in modes.items() if mode == "leader")
            time.sleep(0.1)
        raise AssertionError(f"no leader: {modes}\n" + "".join(self.text(id)[-1500:] for id in self.ports))

    def text(self, id):
        with open(f"{self.home}/{id}/log", errors="replace") as file:
            return file.read()

    def says(self, id, *words):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            line = next((line for line in self.text(id).splitlines() if all(word in line for word in words)), None)
            if line:
                return line
            time.sleep(0.1)
        raise AssertionError(f"member {id} does not say {words}: {self.text(id)[-2000:]}")

    def memory(self, id):
        with open(f"/proc/{self.processes[id].pid}/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS"))

    def threads(self, id):
        return len(os.listdir(f"/proc/{self.processes[id].pid}/task"))


class Writer(threading.Thread):
    """Writes all the time, and knows the longest that it took."""

    def __init__(self, ensemble):
        super().__init__(daemon=True)
        self.ensemble, self.stopping, self.count, self.longest, self.failures = ensemble, False, 0, 0.0, 0

    def run(self):
        last, client = time.monotonic(), None
        while not self.stopping:
            try:
                if client is None:
                    client = Client(self.ensemble.ports[self.count % 3 + 1][0])
                error, _ = client.call(1, create(f"/w-{self.count}", b"x"))
                assert error in (0, -110), error
                self.count += 1
                now = time.monotonic()
                self.longest, last = max(self.longest, now - last), now
                time.sleep(0.02)
            except (OSError, EOFError, struct.error, AssertionError):
                client, self.failures = None, self.failures + 1
                time.sleep(0.1)
        self.longest = max(self.longest, time.monotonic() - last)


def greeting(sid, address=b"127.0.0.1:1", version=-65536):
    return struct.pack(">qqi", version, sid, len(address)) + address


def vote(state=0, leader=3, zxid=1 << 40, round=1 << 50, epoch=1 << 20, text=b"version=0"):
    body = struct.pack(">iqqqqii", state, leader, zxid, round, epoch, 2, len(text)) + text
    return struct.pack(">i", len(body)) + body


def packet(kind, zxid, data, ids=-1):
    data = struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data
    return struct.pack(">iq", kind, zxid) + data + struct.pack(">i", ids)


COMMON = {
    "http": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "tls": bytes.fromhex("160301020001") + bytes(508), "zeros": bytes(4096),
    "ones": b"\xff" * 4096, "nothing": b"", "half": b"\xff\xff\xff\xff", "text": b"stat\n",
}
ELECTION = COMMON | {
    "address-2^31": struct.pack(">qqi", -65536, 9, 0x7FFFFFFF), "address-negative": struct.pack(">qqi", -65536, 9, -5),
    "address-cut": greeting(9)[:-3], "address-without-port": greeting(9, b"localhost"), "address-binary": greeting(9, bytes(range(200))),
    "version-unknown": greeting(9, version=-65000), "observer-without-id": greeting(0x7FFFFFFFFFFFFFFF), "id-negative": greeting(-7),
    "frame-2^31": greeting(99) + struct.pack(">i", 0x7FFFFFFF), "frame-negative": greeting(99) + struct.pack(">i", -1),
    "frame-cut": greeting(99) + struct.pack(">i", 500000) + bytes(1000),
    "vote-of-a-stranger": greeting(99) + vote(), "vote-from-the-future": greeting(99) + vote(round=0x7FFFFFFFFFFFFFFF) * 50,
    "vote-with-half-a-megabyte": greeting(99) + vote(text=b"server.1=a:1:2\n" * 30000) * 4,
    "vote-with-nonsense": greeting(99) + vote(text=b"\xff\\u00") * 10, "vote-of-unknown-state": greeting(99) + vote(state=77),
}
INFO = struct.pack(">qiq", 99, 0x10000, 0)
QUORUM = COMMON | {
    "data-2^31": struct.pack(">iqi", 11, 0, 0x7FFFFFFF), "data-negative": struct.pack(">iqi", 11, 0, -2),
    "ids-2^31": struct.pack(">iqii", 11, 0, -1, 0x7FFFFFFF), "cut": packet(11, 0, INFO)[:-6],
    "no-information": packet(11, 0, None), "short-information": packet(11, 0, b"\0"), "kind-unknown": packet(77, 0, INFO),
    "starts-with-ack": packet(3, 1, None), "starts-with-request": packet(1, -1, bytes(20)),
    "stranger-joins": packet(11, 0, INFO), "stranger-observes": packet(16, 0, INFO),
    "stranger-of-a-later-epoch": packet(11, 1 << 60, INFO) + packet(18, 1 << 60, struct.pack(">i", 1 << 29)),
    "stranger-acknowledges": packet(11, 0, INFO) + packet(18, 0, struct.pack(">i", -1)) + packet(3, 1 << 32, None) * 100,
    "later-configuration": packet(11, 0, struct.pack(">qiq", 99, 0x10000, 1 << 40)),
}


def offend(port, bytes_, hold):
    """Says something. Returns the socket, or None when it was refused or ended."""
    try:
        stranger = socket.create_connection(("127.0.0.1", port), timeout=5)
        stranger.sendall(bytes_)
        if hold:
            return stranger
        stranger.settimeout(0.3)
        while stranger.recv(65536):
            pass
    except OSError:
        pass
    return None


def strangers(arguments):
    with Ensemble(arguments.server) as ensemble:
        ensemble.start()
        leader = ensemble.leader()
        # The first of everything, so that what is measured is growth.
        for offence in list(ELECTION.values())[:3]:
            offend(ensemble.ports[leader][2], offence, False)
        before = {id: ensemble.memory(id) for id in ensemble.ports}
        lines = {id: ensemble.text(id).count("\n") for id in ensemble.ports}
        writer = Writer(ensemble)
        writer.start()
        held, said = [], 0
        for id, (_, quorum, election) in ensemble.ports.items():
            for port, offences in ((election, ELECTION), (quorum, QUORUM if id == leader else {})):
                for name, offence in offences.items():
                    offend(port, offence, False)
                    held.append(offend(port, offence, True))
                    said += 2
        slow(ensemble.ports[leader][2], greeting(99, b"x" * 2000), held)
        slow(ensemble.ports[leader][1], packet(11, 0, INFO), held)
        crowds = 0
        for port, offence in ((ensemble.ports[leader][2], b"\xff\xff"), (ensemble.ports[leader][1], b"\0\0"),
                              (ensemble.ports[leader][2], greeting(99) + struct.pack(">i", 400000) + bytes(10000))):
            crowd = [offend(port, offence, True) for _ in range(arguments.connections)]
            crowds += sum(one is not None for one in crowd)
            time.sleep(2)
            held += crowd
        grown = {id: (ensemble.memory(id) - before[id]) / MIB for id in ensemble.ports}
        threads = {id: ensemble.threads(id) for id in ensemble.ports}
        time.sleep(2)
        for stranger in filter(None, held):
            stranger.close()
        ensemble.leader()
        written = writer.count
        time.sleep(1)
        assert writer.count > written, "nothing is written any more"
        writer.stopping = True
        writer.join(10)
        for id, process in ensemble.processes.items():
            assert process.poll() is None, f"member {id} has ended with {process.returncode}: {ensemble.text(id)[-2000:]}"
            assert "panicked" not in ensemble.text(id), ensemble.text(id)[-3000:]
            more = ensemble.text(id).count("\n") - lines[id]
            assert more < LINES_MAX, f"member {id} has written {more} lines: {ensemble.text(id)[-2000:]}"
            assert grown[id] < MEMORY_MAX / MIB, f"member {id} has grown by {grown[id]:.0f} MiB"
        assert ensemble.leader() == leader, "strangers made another leader"
        assert writer.longest < STALL_MAX, f"a write took {writer.longest:.1f} s"
        return (f"{said} offences, {crowds} connections in crowds; {writer.count} writes, {writer.longest:.2f} s at most; grown by "
                f"{max(grown.values()):.0f} MiB, {max(threads.values())} threads")


def slow(port, bytes_, held):
    """Says a byte at a time, for a while."""
    def drip():
        try:
            stranger = socket.create_connection(("127.0.0.1", port), timeout=5)
            held.append(stranger)
            for at in range(len(bytes_)):
                stranger.sendall(bytes_[at:at + 1])
                time.sleep(0.05)
        except OSError:
            pass
    for _ in range(20):
        threading.Thread(target=drip, daemon=True).start()


def wrong_myid(arguments):
    """A myid that no line is for: refused at once, with both said."""
    with Ensemble(arguments.server, myids={2: 7}) as ensemble:
        ensemble.start(2)
        code = ensemble.processes[2].wait(PATIENCE)
        line = ensemble.says(2, "myid says 7", "1, 2, 3")
        assert code != 0, "it ended as if all were well"
        return f"exit code {code}: {line[-110:]}"


def somebody_elses_myid(arguments):
    """The id of another member that runs: its election port is taken, so the second of both ends and says why."""
    with Ensemble(arguments.server, myids={2: 1}) as ensemble:
        ensemble.start(1, 3)
        ensemble.leader((1, 3))
        ensemble.start(2)
        code = ensemble.processes[2].wait(PATIENCE)
        ensemble.says(2, "cannot listen", "server.1", "myid")
        assert code == 14, f"exit code {code}"
        ensemble.leader((1, 3))
        return "the second of two with one id ends with 14, the others go on"


def two_with_one_id(arguments):
    """Two servers with one id on different hosts: each says of the other that it uses its id."""
    with Ensemble(arguments.server, ids=(1, 2), myids={2: 1}) as ensemble:
        # The one that is right: 2 is another host, which has the same myid by mistake.
        twin = [f"server.1=127.0.0.1:{ensemble.ports[2][1]}:{ensemble.ports[2][2]}",
                f"server.2=127.0.0.1:{ensemble.ports[1][1]}:{ensemble.ports[1][2]}"]
        with open(f"{ensemble.home}/2/zoo.cfg") as file:
            text = file.read().split("server.1")[0]
        with open(f"{ensemble.home}/2/zoo.cfg", "w") as file:
            file.write(text + "\n".join(twin) + "\n")
        ensemble.start()
        line = ensemble.says(1, "says it is server 1", "myid")
        ensemble.says(2, "says it is server 1", "myid")
        assert all(process.poll() is None for process in ensemble.processes.values())
        assert ensemble.mode(1) == "", "two servers with one id are no quorum"
        return line[-120:]


def disagreement(arguments):
    """One of three has lines for five: it is told by the others, and is heard all the same."""
    with Ensemble(arguments.server) as ensemble:
        more = ensemble.common + [f"server.{id}=127.0.0.1:{free_port()}:{free_port()}" for id in (4, 5)]
        with open(f"{ensemble.home}/3/zoo.cfg") as file:
            text = file.read().split("server.1")[0]
        with open(f"{ensemble.home}/3/zoo.cfg", "w") as file:
            file.write(text + "\n".join(more) + "\n")
        ensemble.start()
        line = ensemble.says(1, "disagrees about who the members are", "1, 2, 3, 4, 5")
        ensemble.says(3, "disagrees about who the members are", "1, 2, 3")
        return line[-200:]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--connections", type=int, default=2000)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    cases, counts = [strangers, wrong_myid, somebody_elses_myid, two_with_one_id, disagreement], [0, 0]
    for case in cases:
        if arguments.names and case.__name__ not in arguments.names:
            continue
        name = "ensemble-" + case.__name__.replace("_", "-")
        try:
            print(f"PASS {name} {case(arguments)}", flush=True)
            counts[0] += 1
        except Exception as error:  # whatever it is, the next case runs
            traceback.print_exc()
            print(f"FAIL {name} {type(error).__name__}: {' '.join(str(error).split())[:300]}", flush=True)
            counts[1] += 1
    print(f"{counts[0]} passed, {counts[1]} failed, 0 skipped")
    return 1 if counts[1] else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
