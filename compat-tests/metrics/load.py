"""The requests whose counts are compared: the same to every server, one after the other."""

import os
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "ensemble"))
from zk import Client, ZkError, text, word  # noqa: E402


def refused(code, call, *arguments):
    try:
        call(*arguments)
    except ZkError as error:
        assert error.code == code, f"{call.__name__}{arguments}: {error.code} where {code} was expected"
        return
    raise AssertionError(f"{call.__name__}{arguments} was not refused")


def multi(client, *parts):
    body = b"".join(struct.pack(">i?i", op, False, -1) + part for op, part in parts)
    return client.call(14, body + struct.pack(">i?i", -1, True, -1))


def multi_read(client, *parts):
    body = b"".join(struct.pack(">i?i", op, False, -1) + text(path) + b"\0" for op, path in parts)
    return client.call(22, body + struct.pack(">i?i", -1, True, -1))


def watch(client, op, path):
    """A read that leaves a watch; what a missing node answers is no matter."""
    try:
        client.call(op, text(path) + b"\1")
    except ZkError:
        pass


def set_part(path, data, version=-1):
    return 5, text(path) + text(data) + struct.pack(">i", version)


def until(what, done, patience=30):
    end = time.time() + patience
    while not done():
        assert time.time() < end, f"never: {what}"
        time.sleep(0.05)


def run(port):
    """Returns the clients that stay connected."""
    writer = Client(port)
    for path, data in (("/m", b""), ("/m/a", b"first"), ("/m/b", b"x" * 300), ("/n", b"")):
        writer.create(path, data)
    writer.create("/m/e", b"", 1)
    writer.create("/n/s-", b"seq", 2)
    for _ in range(20):
        writer.set("/m/a", b"some data")
    # What is read.
    for _ in range(10):
        writer.get("/m/b")
        writer.exists("/m/a")
        writer.children("/m")
        writer.call(12, text("/n") + b"\0")       # getChildren2
        writer.call(6, text("/m/a"))              # getACL
    writer.exists("/nowhere")
    writer.children("/")
    writer.call(103, text("/"))                   # getEphemerals
    writer.call(104, text("/m"))                  # getAllChildrenNumber
    writer.sync("/m")
    multi_read(writer, (4, "/m/a"), (8, "/m"), (4, "/nowhere"))
    for _ in range(3):
        writer.ping()
    # What fails.
    refused(-101, writer.get, "/nowhere")
    refused(-101, writer.delete, "/nowhere")
    refused(-110, writer.create, "/m")
    refused(-111, writer.delete, "/m")
    refused(-103, writer.call, 5, text("/m/a") + text(b"") + struct.pack(">i", 77))
    multi(writer, set_part("/m/a", b"in a multi"), set_part("/n", b"too"))
    multi(writer, set_part("/m/a", b"never"), set_part("/nowhere", b""))
    # Quotas.
    writer.create("/q")
    writer.create("/zookeeper/quota/q")
    limits = b"count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=2"
    writer.create("/zookeeper/quota/q/zookeeper_limits", limits)
    writer.create("/zookeeper/quota/q/zookeeper_stats", b"count=1,bytes=0")
    writer.create("/q/1")
    refused(-125, writer.create, "/q/2")
    refused(-125, writer.set, "/q/1", b"more than ten bytes")
    # Watches and their events.
    watcher = Client(port)
    watch(watcher, 4, "/m/a")
    watch(watcher, 3, "/m/new")
    watch(watcher, 8, "/m")
    watch(watcher, 4, "/m/b")
    watcher.call(106, text("/n") + struct.pack(">i", 1))   # addWatch, persistent and recursive
    writer.set("/m/a", b"told")
    writer.create("/m/new")
    writer.delete("/m/b")
    writer.create("/n/child")
    writer.delete("/n/child")
    watcher.exists("/m")
    refused(-121, watcher.call, 17, text("/m/never") + struct.pack(">i", 3))  # checkWatches
    watch(watcher, 4, "/m/a")
    # A session that comes back, with what it missed.
    watcher.drop()
    time.sleep(0.3)  # A server that has not seen it yet sends the event all the same, and counts it.
    before = watcher.zxid
    writer.set("/m/a", b"missed")
    again = Client(port, session=watcher.session, password=watcher.password)
    lists = struct.pack(">q", before) + struct.pack(">i", 1) + text("/m/a") + struct.pack(">i", 1) + text("/m/later")
    again.call(101, lists + struct.pack(">i", 0), -8)      # setWatches
    # Identities.
    writer.call(100, struct.pack(">i", 0) + text("digest") + text(b"me:secret"), -4)
    stranger = Client(port)
    refused(-115, stranger.call, 100, struct.pack(">i", 0) + text("nobody") + text(b""), -4)
    # A session that expires, one that ends, one that nobody knows.
    Client(port, timeout_ms=1000).drop()
    short = Client(port)
    short.create("/n/e", b"", 1)
    short.end()
    refused(-112, Client, port, 4000, 0x7777, b"\1" * 16)
    assert word(port, "ruok") == "imok"
    return [writer, again]
