"""What a history must be, guided by zxids: each acknowledged write has one, and each reply says up to where its server had come.
So the order of all writes is known, and every reply can be judged by itself (research: as etcd's robustness tests do)."""

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict

from client import OK, REFUSED, UNKNOWN

SHOWN = 5
# Each write has a value of its own, which is found in the bytes of its transaction, behind the header.
VALUE, HEADER = re.compile(rb"w\.\d+\.\d+\.e"), 32


class Violations(list):
    def add(self, rule, text):
        self.append((rule, text))

    def lines(self):
        counts, out = defaultdict(int), []
        for rule, said in self:
            counts[rule] += 1
            if counts[rule] <= SHOWN:
                out.append(f"{rule}: {said}")
        return out + [f"{rule}: {count - SHOWN} more" for rule, count in counts.items() if count > SHOWN]


def writes_of(record):
    """The nodes a write changes, each with the version it got, if it was acknowledged."""
    if record.kind == "multi":
        versions = record.version or (None, None)
        return list(zip(record.path.split("|"), versions))
    return [(record.path, record.version)]


def floor_of(since, logs):
    """From which zxid on the logs say what happened, of a round that began at `since`. A member to which everything was copied has
    a snapshot and the log behind it; when that has come to all of them in one round, its beginning is in no log."""
    first = min((zxid for records in logs.values() for zxid in records), default=since)
    return max(first, since)


def check(history, final, logs, floor=0):
    """`final`: member -> {path: (value, mzxid, version)} when all is quiet. `logs`: member -> {zxid: body of the record}, and
    `floor`, from where on they are whole. What was written before is still judged by versions, reads and the end."""
    found = Violations()
    logged = merge_logs(logs, found)
    acknowledged_are_logged(history, logged, floor, found)
    states = final_states(final, found)
    versions = version_tables(history, states, found)
    reads_are_current(history, versions, found)
    sessions_never_go_back(history, found)
    real_time(history, found)
    pipelines(history, logged, floor, found)
    return found


def merge_logs(logs, found):
    """One zxid is one transaction, whoever wrote it down."""
    merged, owner = {}, {}
    for member, records in logs.items():
        for zxid, body in records.items():
            if merged.setdefault(zxid, body) != body:
                found.add("ONE-ZXID", f"{zxid:#x} is another transaction in the log of {member} than in that of {owner[zxid]}")
            owner.setdefault(zxid, member)
    return merged


def name_of(value):
    """The part of a value that no other write has, without its padding."""
    return VALUE.match(value).group()


def logged_values(logged):
    where = defaultdict(list)
    for zxid, body in logged.items():
        value = VALUE.search(body, HEADER)
        if value:
            where[value.group()].append(zxid)
    return where


def acknowledged_are_logged(history, logged, floor, found):
    """No acknowledged write is lost: it is in the logs, at the zxid that the client was told. A refused one is nowhere."""
    where = logged_values(logged)
    for record in history:
        if record.kind not in ("set", "create", "multi"):
            continue
        there = where.get(name_of(record.value), [])
        if len(there) > 1:
            found.add("ONCE", f"logged {len(there)} times ({', '.join(map(hex, there))}): {record}")
        if record.outcome == OK and record.mzxid >= floor and record.mzxid not in there:
            found.add("DURABLE", f"acknowledged, and in no log (there: {list(map(hex, there))}): {record}")
        if record.outcome == REFUSED and there:
            found.add("REFUSED", f"refused, and in the logs at {there[0]:#x}: {record}")


def final_states(final, found):
    """All members have the same nodes in the end."""
    names = list(final)
    first = final[names[0]] if names else {}
    for name in names[1:]:
        for path in sorted(set(first) | set(final[name])):
            if first.get(path) != final[name].get(path):
                found.add("EQUAL", f"{path}: {names[0]} has {first.get(path)}, {name} has {final[name].get(path)}")
    return first


def version_tables(history, states, found):
    """For each node that is only ever set: version -> (mzxid, value), from every reply and from the end. One version is one write."""
    deleted = {record.path for record in history if record.kind == "delete"}
    tables, unknown = defaultdict(dict), defaultdict(set)
    for record in history:
        if record.kind not in ("set", "multi", "get"):
            continue
        for path, version in writes_of(record):
            if path in deleted:
                continue
            if record.outcome == OK:
                fact = (record.mzxid, record.value)
                if tables[path].setdefault(version, fact) != fact:
                    found.add("ONE-VERSION", f"{path} version {version} was {tables[path][version]}, and here it is {fact}: {record}")
            elif record.outcome == UNKNOWN and record.kind != "get":
                unknown[path].add(record.value)
    for path, table in tables.items():
        last = states.get(path)
        if last is None:
            found.add("LOST", f"{path} is gone in the end")
            continue
        value, mzxid, version = last
        if table.setdefault(version, (mzxid, value)) != (mzxid, value):
            found.add("LOST", f"{path} ends as {last}, and version {version} was {table[version]}")
        beyond = [one for one in table if one > version]
        if beyond:
            found.add("LOST", f"{path} ends at version {version}; acknowledged or read were {sorted(beyond)[:SHOWN]}")
        order = sorted(table)
        for one, other in zip(order, order[1:]):
            if table[one][0] >= table[other][0]:
                found.add("ORDER", f"{path}: version {one} has zxid {table[one][0]:#x}, version {other} has {table[other][0]:#x}")
        missing = version + 1 - len(order)
        if 0 not in table:
            missing -= 1
        candidates = unknown[path] - {value for _, value in table.values()}
        if missing > len(candidates):
            found.add("PHANTOM", f"{path}: {missing} versions are nobody's; of {len(candidates)} writes the outcome is unknown")
    return tables


def reads_are_current(history, tables, found):
    """A read shows the last write up to the zxid that its reply carries, neither an earlier nor a later one."""
    orders = {path: sorted((mzxid, version) for version, (mzxid, _) in table.items()) for path, table in tables.items()}
    for record in history:
        if record.kind != "get" or record.outcome != OK or record.path not in orders:
            continue
        if record.mzxid > record.zxid:
            found.add("READ", f"shows what its server had not come to: {record}")
        order = orders[record.path]
        at = bisect_right(order, (record.zxid, 1 << 40))
        latest = order[at - 1][0] if at else 0
        if latest > record.mzxid:
            found.add("READ", f"{latest:#x} was written before zxid {record.zxid:#x}, and is not shown: {record}")


def sessions_never_go_back(history, found):
    last = {}
    for record in history:
        if record.outcome == UNKNOWN or record.zxid is None or record.session == 0:
            continue
        # A refusal may carry no zxid of the tree.
        if record.outcome == REFUSED and record.zxid <= 0:
            continue
        before = last.get(record.session)
        if before is not None and record.zxid < before.zxid:
            found.add("MONOTONE", f"after {before} came {record}")
        else:
            last[record.session] = record
        if record.outcome == OK and record.kind in ("set", "multi", "create") and record.zxid < record.mzxid:
            found.add("MONOTONE", f"the reply is older than the write: {record}")


def real_time(history, found):
    """What was acknowledged before something else began comes first: all writes, and reads behind a sync."""
    done = sorted((r.returned, r.mzxid) for r in history if r.outcome == OK and r.kind in ("set", "multi", "create"))
    times, highest, top = [at for at, _ in done], [], 0
    for _, zxid in done:
        top = max(top, zxid)
        highest.append(top)

    def before(moment):
        at = bisect_left(times, moment)
        return highest[at - 1] if at else 0

    synced = {}
    for record in history:
        if record.kind == "sync":
            synced[record.session] = record if record.outcome == OK else None
        elif record.outcome == OK and record.kind in ("set", "multi", "create"):
            if record.mzxid < before(record.invoked):
                found.add("LINEAR", f"{before(record.invoked):#x} was acknowledged before it began: {record}")
        elif record.outcome == OK and record.kind == "get":
            sync = synced.get(record.session)
            # On the connection of the sync; another may be behind.
            if sync is not None and sync.server == record.server and record.zxid < before(sync.invoked):
                found.add("SYNC", f"{before(sync.invoked):#x} was acknowledged before the sync: {record}")
        if record.outcome == UNKNOWN:
            synced.pop(record.session, None)


def pipelines(history, logged, floor, found):
    """Requests of one connection happen in their order, and none without those before it."""
    groups = defaultdict(list)
    earliest = min((record.mzxid for record in history if record.outcome == OK and record.mzxid), default=floor)
    for record in history:
        if record.group and record.kind == "set":
            groups[(record.session, record.group)].append(record)
    values = {value: zxids[0] for value, zxids in logged_values(logged).items()}
    for records in groups.values():
        zxids = [values.get(name_of(record.value)) for record in records]
        for at in range(1, len(zxids)):
            # Of the first that is in the logs, those before it may lie below the floor.
            whole = floor <= earliest or any(zxids[:at])
            if whole and zxids[at] is not None and zxids[at - 1] is None and records[at - 1].outcome == UNKNOWN:
                found.add("FIFO", f"{records[at]} happened without {records[at - 1]}")
            if zxids[at] is not None and zxids[at - 1] is not None and zxids[at] < zxids[at - 1]:
                found.add("FIFO", f"{records[at]} happened before {records[at - 1]}")
