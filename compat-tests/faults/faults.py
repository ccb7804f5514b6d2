#!/usr/bin/env python3
"""Real ensembles under faults: members in network namespaces on file systems of their own, clients that write down every
operation, faults by chance, and a checker. Needs root; without it, the campaign is skipped aloud.

  faults.py --judge FILE         judges the kept history of a round again
  faults.py --server COMMAND [--java COMMAND] [--minutes N] [--seed S] [--members 3] [--mix ox,java,ox] [--clients 8]
            [--tick 500] [--round 45] [--keep]

A violation names the seed and keeps the files of its round. The last line is 'N passed, N failed, N skipped'.
"""

import argparse
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import checker  # noqa: E402
import load  # noqa: E402
from client import Gone, Record, Session  # noqa: E402
from hosts import Network, run  # noqa: E402
from members import Disk, Member  # noqa: E402

# A busy machine may be slow; a JVM is always.
PATIENCE, PATIENCE_JAVA = 90, 240
DISK_MIB = 512


def missing():
    """Why this cannot run here; empty when it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    packages = {"nsenter": "util-linux", "ip": "iproute2", "nft": "nftables", "mkfs.ext4": "e2fsprogs", "mkfs.xfs": "xfsprogs", "xfs_io": "xfsprogs"}
    lacking = sorted({package for tool, package in packages.items() if not shutil.which(tool)})
    if lacking:
        subprocess.run(["apt-get", "install", "-y", "-q", "--no-install-recommends", *lacking], capture_output=True)
        lacking = sorted({package for tool, package in packages.items() if not shutil.which(tool)})
    if lacking:
        return f"missing packages: {', '.join(lacking)}"
    name = f"oxf-try-{os.getpid()}"
    try:
        run("ip", "netns", "add", name)
        run("ip", "netns", "exec", name, "nft", "add table inet faults")
    except RuntimeError as error:
        return f"this kernel gives no network namespace: {error}"
    finally:
        run("ip", "netns", "del", name, check=False)
    return ""


class Campaign:
    def __init__(self, args):
        self.args, self.random = args, random.Random(args.seed)
        self.work = tempfile.mkdtemp(prefix="oxkeeper-faults-")
        kinds = args.mix.split(",") if args.mix else ["ox"] * args.members
        self.network = Network(len(kinds))
        self.disks, self.members, self.counts, self.violations = True, {}, Counter(), []
        self.patience = PATIENCE_JAVA if "java" in kinds else PATIENCE
        self.totals, self.counter, self.waits = Counter(), Counter(), []
        commands = {"ox": args.server, "java": args.java}
        for n, kind in enumerate(kinds, 1):
            folder = f"{self.work}/{n}"
            os.makedirs(folder)
            disk = None
            if self.disks:
                try:
                    disk = Disk(f"{folder}/image", f"{folder}/disk", ("ext4", "xfs")[n % 2], DISK_MIB)
                except RuntimeError as error:
                    print(f"SKIP full disks and power cuts: {error}", flush=True)
                    self.disks = False
            self.members[n] = Member(self.network, n, len(kinds), kind, commands[kind], folder, disk, args.tick)

    # ---- faults: each is made, lasts, and is undone -------------------------------------------

    def some(self, most=None):
        return self.random.sample(list(self.members), self.random.randint(1, most or len(self.members) // 2))

    def leader(self):
        return next((n for n, member in self.members.items() if member.mode() == "leader"), None)

    def target(self):
        """The leader half of the time."""
        return [self.leader() or 1] if self.random.random() < 0.5 else self.some(1)

    def last(self, low, high):
        time.sleep(self.random.uniform(low, high))

    def fault_kill(self):
        victims = self.target()
        for n in victims:
            self.members[n].kill()
        self.last(0, 4)
        for n in victims:
            self.members[n].start()

    def fault_kill_majority(self):
        victims = self.some(len(self.members))
        for n in victims:
            self.members[n].send(signal.SIGKILL)
        for n in victims:
            self.members[n].kill()
        self.last(0, 1)
        for n in victims:
            self.members[n].start()
            self.last(0, 1)

    def fault_term(self):
        [n] = self.target()
        self.members[n].kill(signal.SIGTERM)
        self.last(0, 2)
        self.members[n].start()

    def fault_stop(self):
        victims = self.target()
        for n in victims:
            self.members[n].pause()
        self.last(0.5, 8)
        for n in victims:
            self.members[n].resume()

    def fault_partition(self):
        [n] = self.target()
        for other in self.members:
            if other != n:
                self.network.cut(n, other)
                self.network.cut(other, n)
        self.last(0.5, 8)
        self.network.heal()

    def fault_partition_oneway(self):
        [n] = self.target()
        outward = self.random.random() < 0.5
        for other in self.members:
            if other != n:
                self.network.cut(*((n, other) if outward else (other, n)))
        self.last(0.5, 8)
        self.network.heal()

    def fault_partition_link(self):
        one, other = self.random.sample(list(self.members), 2)
        self.network.cut(one, other)
        if self.random.random() < 0.5:
            self.network.cut(other, one)
        self.last(0.5, 8)
        self.network.heal()

    def fault_reset(self):
        [n] = self.target()
        self.network.reset(n, [other for other in self.members if other != n], self.random.uniform(0.05, 0.5))

    def ours(self, victims):
        """Java does not sync its snapshots, and does not start again when one is lost: its disks are left alone."""
        return [n for n in victims if self.members[n].kind != "java"]

    def fault_disk_full(self):
        for n in self.ours(self.target()):
            member = self.members[n]
            member.disk.fill()
            self.last(1, 5)
            member.disk.free()

    def fault_power(self):
        victims = self.ours(self.target() if self.random.random() < 0.7 else self.members)
        # A machine without power runs nothing: first it stops, then its disk forgets, and then it is gone.
        for n in victims:
            self.members[n].pause()
        for n in victims:
            self.members[n].disk.lose_power()
        for n in victims:
            self.members[n].send(signal.SIGKILL)
            self.members[n].kill()
            self.members[n].disk.detach()
            self.members[n].disk.attach()
        self.last(0, 2)
        for n in victims:
            self.members[n].start()

    def faults(self):
        names = ["kill", "kill", "kill_majority", "term", "stop", "partition", "partition", "partition_oneway",
                 "partition_link", "reset"]
        return names + (["disk_full", "power", "power"] if self.disks else [])

    # ---- a round ------------------------------------------------------------------------------

    def violation(self, rule, text):
        self.violations.append((rule, text))
        print(f"VIOLATION {rule} (seed {self.args.seed}): {text}", flush=True)

    def quiet(self):
        """Everything is undone; waits until all serve and one leads."""
        self.network.heal()
        started = time.time()
        while time.time() - started < self.patience:
            for n, member in self.members.items():
                member.resume()
                if member.ended() is not None and member.kind == "java":
                    # Its known bugs are not ours.
                    self.counts["java ended by itself"] += 1
                    member.start()
                elif member.ended() is not None:
                    self.violation("ALIVE", f"member {n} ended by itself with {member.ended()}:\n{member.said(15)}")
                    member.start()
            modes = sorted(member.mode() for member in self.members.values())
            if modes == ["follower"] * (len(self.members) - 1) + ["leader"]:
                self.waits.append(time.time() - started)
                return True
            time.sleep(0.1)
        modes = {n: member.mode() for n, member in self.members.items()}
        self.violation("LIVE", f"no ensemble within {self.patience} s of quiet: {modes}")
        return False

    def base(self, name):
        """The nodes of a round; and from which zxid on its transactions are."""
        members = {n: member.address() for n, member in self.members.items()}
        for _ in range(100):
            history = []
            session = Session(members, lambda all: self.random.choice(list(all)), history, 5)
            try:
                since = session.create(name, b"").zxid
                for path in load.paths(name):
                    session.create(path, b"")
                session.end()
                return since
            except Gone:
                time.sleep(0.3)
        raise RuntimeError("the nodes of the round cannot be made")

    def round(self, number, end):
        if not self.quiet():
            return False
        base = f"/r{number}-{time.time_ns()}"
        since = self.base(base)
        members = {n: member.address() for n, member in self.members.items()}
        seed = self.args.seed * 1000 + number
        workers = [load.Worker(n, seed, members, base, self.counter, self.args.pause) for n in range(self.args.clients)]
        for worker in workers:
            worker.start()
        self.last(0.5, 1.5)
        until, did = min(time.time() + self.args.round, end), []
        while time.time() < until:
            fault = self.random.choice(self.faults())
            did.append(fault)
            self.counts[fault] += 1
            getattr(self, f"fault_{fault}")()
            self.last(0, 3 if self.random.random() < 0.5 else 0.3)
        served = self.quiet()
        if served:
            # And it goes on: a moment of load without any fault.
            acknowledged = sum(1 for worker in workers for record in worker.history if record.outcome == "ok")
            time.sleep(2)
            if sum(1 for worker in workers for record in worker.history if record.outcome == "ok") <= acknowledged:
                self.violation("LIVE", "the ensemble says it serves, and no client is served")
        for worker in workers:
            worker.stopping = True
        for worker in workers:
            worker.join(30)
            if worker.failure or worker.is_alive():
                self.violation("CLIENT", f"client {worker.number}: {worker.failure or 'still waits'}")
        if not served:
            return False
        return self.judge(number, base, since, [record for worker in workers for record in list(worker.history)], did)

    def judge(self, number, base, since, history, did):
        final = {f"member {n}": member.nodes(load.paths(base))[0] for n, member in self.members.items()}
        logs = {f"member {n}": member.logged(since) for n, member in self.members.items()}
        floor = checker.floor_of(since, logs)
        beyond = sum(1 for record in history if record.outcome == "ok" and record.kind != "get" and 0 < (record.mzxid or 0) < floor)
        self.totals["acknowledged before everything was copied to all members"] += beyond
        found = checker.check(history, final, logs, floor)
        digests = {n: member.digests() for n, member in self.members.items()}
        for n in digests:
            for m in digests:
                for zxid in digests[n].keys() & digests[m].keys():
                    if n < m and digests[n][zxid] != digests[m][zxid]:
                        found.add("DIGEST", f"at zxid {zxid} member {n} has {digests[n][zxid]}, member {m} {digests[m][zxid]}")
        outcomes = Counter(record.outcome for record in history)
        self.totals.update(outcomes)
        self.totals["operations"] += len(history)
        self.totals["writes acknowledged"] += sum(r.outcome == "ok" and r.kind in ("set", "multi", "create") for r in history)
        print(f"round {number}: {len(history)} operations, {dict(outcomes)}, faults {' '.join(did)}, "
              f"{'VIOLATIONS' if found else 'well'}", flush=True)
        for line in found.lines():
            self.violation(*line.split(": ", 1))
        if found:
            with open(f"{self.work}/round-{number}.pickle", "wb") as file:
                slots = [[getattr(record, name) for name in record.__slots__] for record in history]
                pickle.dump((slots, final, logs, floor), file)
        return not found

    def make_room(self):
        """A member whose disk fills up gets a new one, while the others have everything."""
        for n, member in self.members.items():
            used = sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(member.home) for name in names)
            if used > (DISK_MIB << 20) * 0.4 and self.quiet():
                self.counts["new_disk"] += 1
                member.kill()
                shutil.rmtree(f"{member.home}/data")
                member.prepare()
                member.start()
                self.quiet()

    def run(self):
        for member in self.members.values():
            member.start()
        end, number, good = time.time() + self.args.minutes * 60, 0, 0
        while time.time() < end - 5:
            number += 1
            good += self.round(number, end)
            if self.violations and not self.args.go_on:
                break
            self.make_room()
        waits = sorted(self.waits)
        print(f"seed {self.args.seed}: {number} rounds, {sum(self.counts.values())} faults {dict(sorted(self.counts.items()))}")
        print(f"{dict(self.totals)}; whole again within {waits[-1] if waits else 0:.1f} s at most, "
              f"{waits[len(waits) // 2] if waits else 0:.1f} s in the middle", flush=True)
        return number, good

    def close(self):
        """Ends and removes everything, whatever state it is in."""
        keep = self.violations or self.args.keep
        for member in self.members.values():
            if member.process:
                member.kill()
        for member in self.members.values():
            if keep:
                try:
                    shutil.copytree(f"{member.home}/data", f"{member.folder}/data", dirs_exist_ok=True)
                except (OSError, shutil.Error) as error:
                    print(f"not all of member {member.n} could be kept: {str(error)[:200]}")
            if member.disk:
                member.disk.close()
                os.remove(member.disk.file)
        self.network.close()
        if keep:
            print(f"files kept in {self.work}")
        else:
            shutil.rmtree(self.work, ignore_errors=True)


def judge_again(file):
    """What the checker says of the kept history of a round."""
    with open(file, "rb") as kept:
        slots, final, logs, floor = pickle.load(kept)
    history = []
    for values in slots:
        record = Record(0, "", "", None, 0)
        for name, value in zip(Record.__slots__, values):
            setattr(record, name, value)
        history.append(record)
    found = checker.check(history, final, logs, floor)
    print("\n".join(found.lines()))
    print(f"{len(history)} operations, {len(found)} violations")
    return 1 if found else 0


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--server", required=True)
    parser.add_argument("--java", default="")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--mix", default="")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--tick", type=int, default=500)
    parser.add_argument("--round", type=float, default=45)
    parser.add_argument("--pause", type=float, default=0.01, help="longest pause of a client between operations, s")
    parser.add_argument("--go-on", action="store_true", help="do not stop at a violation")
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    why = missing()
    if why:
        print(f"SKIP faults: {why}\n0 passed, 0 failed, 1 skipped")
        return 0
    campaign = Campaign(args)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        rounds, good = campaign.run()
    finally:
        campaign.close()
    failed = rounds - good + (1 if campaign.violations and rounds == good else 0)
    print(f"{good} passed, {failed} failed, 0 skipped")
    return 1 if failed or not good else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--judge"]:
        sys.exit(judge_again(sys.argv[2]))
    sys.exit(main())
