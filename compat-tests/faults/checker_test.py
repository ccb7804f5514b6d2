#!/usr/bin/env python3
"""A checker that finds nothing proves nothing: each kind of lie is told once, and must be found; the truth must not."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import checker  # noqa: E402
from client import OK, REFUSED, UNKNOWN, Record  # noqa: E402


class World:
    """A history of one node, told truthfully; `at` is the time."""

    def __init__(self):
        self.history, self.log, self.now, self.zxid, self.version, self.state = [], {}, 0.0, 0x100000001, 0, (b"", 0x100000001, 0)
        self.floor = 0

    def record(self, session, kind, value=None, outcome=OK, path="/k", server=1, took=1.0, group=0):
        record = Record(session, kind, path, value, server, group)
        record.invoked, record.returned, record.outcome = self.now, self.now + took, outcome
        self.now += took + 1
        self.history.append(record)
        return record

    def set(self, session, value, outcome=OK, happens=True, **more):
        record = self.record(session, "set", value, outcome, **more)
        if happens:
            self.zxid, self.version = self.zxid + 1, self.version + 1
            self.log[self.zxid] = bytes(32) + b"/k" + value + bytes(8)
            self.state = (value, self.zxid, self.version)
        if outcome == OK:
            record.zxid, record.mzxid, record.version = self.zxid, self.zxid, self.version
        return record

    def get(self, session, **more):
        record = self.record(session, "get", **more)
        record.value, record.mzxid, record.version = self.state
        record.zxid = self.zxid
        return record

    def sync(self, session, **more):
        record = self.record(session, "sync", **more)
        record.zxid = self.zxid
        return record

    def found(self, **states):
        final = {"one": {"/k": self.state}, "two": {"/k": self.state}} | states
        return {rule for rule, _ in checker.check(self.history, final, {"one": self.log, "two": dict(self.log)}, self.floor)}

    def copied(self, writes):
        """Everything was copied to all members behind so many writes: no log has those."""
        for zxid in sorted(self.log)[:writes]:
            del self.log[zxid]
        self.floor = checker.floor_of(0x100000001, {"one": self.log})


def value(n):
    return b"w.1.%d.e" % n + b"x" * (n % 3)


def truth():
    world = World()
    world.set(1, value(1))
    world.get(2)
    world.set(1, value(2), UNKNOWN)
    world.get(2)
    world.set(1, value(3), UNKNOWN, happens=False)
    world.sync(2)
    world.get(2)
    world.record(1, "set", value(4), REFUSED).zxid = world.zxid
    world.set(2, value(5), group=7)
    world.set(2, value(6), group=7)
    return world


def lies():
    world = truth()
    world.set(1, value(9), happens=False).mzxid = world.zxid + 7
    yield "DURABLE", world, {}
    world = truth()
    del world.log[world.history[0].mzxid]
    yield "DURABLE", world, {}
    world = truth()
    world.log[world.zxid + 1] = bytes(32) + value(4)
    yield "REFUSED", world, {}
    world = truth()
    world.log[world.zxid + 1] = bytes(32) + value(2)
    yield "ONCE", world, {}
    world = truth()
    yield "EQUAL", world, {"two": {"/k": (b"other", world.zxid, world.version)}}
    world = truth()
    yield "LOST", world, {name: {"/k": (value(5), world.zxid - 1, world.version - 1)} for name in ("one", "two")}
    world = truth()
    yield "LOST", world, {"one": {}, "two": {}}
    world = truth()
    world.get(2).value = value(2)
    yield "ONE-VERSION", world, {}
    world = truth()
    stale = world.get(3)
    stale.value, stale.mzxid, stale.version = value(1), world.history[0].mzxid, 1
    yield "READ", world, {}
    world = truth()
    early = world.get(3)
    early.zxid -= 1
    yield "READ", world, {}
    world = truth()
    old = world.get(2)
    old.value, old.mzxid, old.version, old.zxid = value(1), world.history[0].mzxid, 1, world.history[0].mzxid
    yield "MONOTONE", world, {}
    world = truth()
    world.sync(3)
    old = world.get(3)
    old.value, old.mzxid, old.version, old.zxid = value(1), world.history[0].mzxid, 1, world.history[0].mzxid
    yield "SYNC", world, {}
    world = truth()
    first, second = world.history[0], world.set(3, value(9))
    first.invoked, first.returned = world.now, world.now + 1
    assert second.returned < first.invoked
    yield "LINEAR", world, {}
    world = truth()
    world.version += 2
    world.set(1, value(9))
    yield "PHANTOM", world, {}
    world = truth()
    world.history[-2].outcome = UNKNOWN
    del world.log[world.history[-2].mzxid]
    yield "FIFO", world, {}
    world = truth()
    one, other = world.history[-2:]
    world.log[one.mzxid], world.log[other.mzxid] = world.log[other.mzxid], world.log[one.mzxid]
    yield "FIFO", world, {}
    # Behind the floor the logs are whole.
    world = truth()
    for n in range(10, 20):
        world.set(1, value(n))
    world.copied(5)
    del world.log[world.history[-2].mzxid]
    yield "DURABLE", world, {}
    world = truth()
    for n in range(10, 13):
        world.set(1, value(n), group=8)
    world.copied(2)
    world.history[-2].outcome = UNKNOWN
    del world.log[world.history[-2].mzxid]
    yield "FIFO", world, {}


def main():
    for writes in range(4):
        world = truth()
        world.history[-2].outcome = UNKNOWN
        world.copied(writes)
        assert world.found() == set(), f"the truth is called a lie: {world.found()}"
    missed = []
    count = 0
    for rule, world, states in lies():
        count += 1
        found = world.found(**states)
        if rule not in found:
            missed.append(f"{rule} was not found, only {found or 'nothing'}")
    logs = {"one": {1: b"a" * 40}, "two": {1: b"b" * 40}}
    if not checker.check([], {}, logs):
        missed.append("one zxid, two transactions: not found")
    for text in missed:
        print(f"FAIL checker: {text}")
    print(f"checker: {count + 1 - len(missed)} of {count + 1} lies found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
