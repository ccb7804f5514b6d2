"""Strangers, liars and the slow: a server lives through them, keeps its memory bounded, says one line for each offence,
and serves the others meanwhile. What a single bad frame is answered is compared with offences.txt, which the Java server
wrote (`--record`). Prints PASS, FAIL and a last line of counts."""

import argparse
import os
import resource
import selectors
import struct
import sys
import threading
import time
import traceback

from server import Client, Server, create, frame, hello, request, string

HUGE = 0x7FFFFFFF
MIB = 1 << 20
FLAGS = "-Djute.maxbuffer=4194304 -Dzookeeper.maxCnxns=0"
# The largest answer of these cases, and what a server may keep for a client that does not read: see reactor/mod.rs.
VALUE = 32 << 10
OUTPUT_MAX = (64 << 10) + VALUE
# Requests of a slow reader: their answers are far more than a kernel buffers for a window of 16 KB.
ASKED = 100


def i(*numbers):
    return struct.pack(f">{len(numbers)}i", *numbers)


def offences():
    """(name, the first bytes of a connection) and (name, bytes behind a handshake)."""
    first = {
        "http": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "tls": bytes.fromhex("160301020001") + bytes(200),
        "garbage": bytes(range(255, 155, -1)),
        "length-negative": i(-1), "length-min": i(-0x80000000), "length-huge": i(HUGE), "length-0": i(0),
        "length-above-maximum": i(4194305), "frame-short": frame(b"abc"), "frame-of-zeros": frame(bytes(8)),
        "password-negative": frame(struct.pack(">iqiqi", 0, 0, 1000, 0, -7)),
        "password-huge": frame(struct.pack(">iqiqi", 0, 0, 1000, 0, HUGE)),
        "session-unknown": hello(30000, 0x1234, bytes(16)),
        "zxid-of-the-future": hello(30000, 0, bytes(16), 1 << 60),
        "timeout-negative": hello(-5), "timeout-huge": hello(HUGE),
        "request-without-session": request(1, 4, string("/") + b"\0"),
    }
    lengths = {"-1": -1, "-2": -2, "min": -0x80000000, "max": HUGE, "256M": 1 << 28}
    behind = {
        "length-negative": i(-1), "length-0": i(0), "length-3": frame(b"abc"), "length-4": frame(bytes(4)),
        "length-huge": i(HUGE), "length-above-maximum": i(4194305), "op-unknown": request(9, 4711), "op-negative": request(9, -3),
        "again-hello": hello(), "http": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "path-deep": request(9, 4, string("/d" * 10000) + b"\0"),
        "path-deep-create": request(9, 1, create("/d" * 10000)),
        "path-of-slashes": request(9, 1, create("/" * 10000)),
        "path-1M": request(9, 4, string("/" + "x" * MIB) + b"\0"),
        "multi-empty": request(9, 14, i(-1) + b"\1" + i(-1)), "multi-without-end": request(9, 14, b""),
        "multi-endless": request(9, 14, (i(13) + b"\0" + i(-1) + string("/") + i(-1)) * 5),
        "multi-in-multi": request(9, 14, i(14) + b"\0" + i(-1) + i(-1) + b"\1" + i(-1)),
        "body-with-rest": request(9, 4, string("/") + b"\0" + bytes(1000)),
    }
    for name, op, tail in [("getData", 4, b"\0"), ("exists", 3, b"\0"), ("getChildren", 8, b"\0"), ("delete", 2, i(-1)),
                           ("setData", 5, string(b"") + i(-1)), ("sync", 9, b""), ("getACL", 6, b""), ("addWatch", 106, i(0)),
                           ("removeWatches", 18, i(3)), ("getEphemerals", 103, b""), ("getAllChildrenNumber", 104, b"")]:
        for label, length in lengths.items():
            behind[f"{name}-path-{label}"] = request(9, op, i(length) + tail)
        behind[f"{name}-empty"] = request(9, op)
    for label, length in lengths.items():
        behind[f"create-data-{label}"] = request(9, 1, string("/never") + i(length))
        behind[f"create-acls-{label}"] = request(9, 1, string("/never") + string(b"") + i(length))
        behind[f"setACL-acls-{label}"] = request(9, 7, string("/zookeeper") + i(length))
        behind[f"create-scheme-{label}"] = request(9, 1, string("/never") + string(b"") + i(1, 31, length))
        behind[f"setData-data-{label}"] = request(9, 5, string("/zookeeper") + i(length))
        for at in range(3):
            behind[f"setWatches-{at}-{label}"] = request(-8, 101, struct.pack(">q", 0) + i(*[0] * at, length))
        for at in range(5):
            behind[f"setWatches2-{at}-{label}"] = request(-8, 105, struct.pack(">q", 0) + i(*[0] * at, length))
        behind[f"reconfig-{label}"] = request(9, 16, i(length))
        behind[f"auth-{label}"] = request(-4, 100, i(0, length))
    return first, behind


def outcome(client, sent, probe):
    """What became of an offence: the error codes answered, then `open` (a ping is answered) or `closed`. Of a first frame
    only whether it is answered and closed counts; a server that waits for more is `waiting`."""
    codes = []
    try:
        client.socket.sendall(sent + (request(-2, 11) if probe else b""))
        if not probe:
            client.socket.settimeout(1.0)
            answer = client.take()
            return f"session-timeout {struct.unpack('>i', answer[4:8])[0]}"
        while True:
            xid, _, error, _ = client.reply()
            if xid == -2:
                return " ".join(codes + ["open"])
            codes.append(str(error))
    except TimeoutError:
        return "waiting" if not probe else " ".join(codes + ["silent"])
    except (EOFError, OSError):
        return " ".join(codes + ["closed"])


def judge(server):
    first, behind = offences()
    lines = []
    for name, sent in first.items():
        with Client(server.port, handshake=False) as client:
            lines.append(f"first {name}: {outcome(client, sent, False)}")
    for name, sent in behind.items():
        with Client(server.port) as client:
            client.socket.settimeout(5)
            lines.append(f"behind {name}: {outcome(client, sent, True)}")
    return lines


class Bystander(threading.Thread):
    """A good client: it writes and reads all the time, and knows its longest wait."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.client, self.ended, self.calls, self.longest, self.why = Client(port), False, 0, 0.0, None
        self.client.call(1, create("/bystander"))

    def run(self):
        try:
            while not self.ended:
                start = time.monotonic()
                data = str(self.calls).encode()
                assert self.client.call(5, string("/bystander") + string(data) + i(-1))[0] == 0
                error, body = self.client.call(4, string("/bystander") + b"\0")
                assert error == 0 and body[4:4 + len(data)] == data, (error, body, data)
                self.longest = max(self.longest, time.monotonic() - start)
                self.calls += 1
                time.sleep(0.01)
        except Exception as error:  # told by whoever started it
            self.why = repr(error)

    def finish(self):
        self.ended = True
        self.join(40)
        return self.why


# ---- the cases -----------------------------------------------------------------------------------


def bad_frames(server, arguments):
    before = server.text().count("\n")
    lines = judge(server)
    with open(os.path.join(os.path.dirname(__file__), "offences.txt")) as file:
        expected = dict(line.rstrip("\n").split(": ", 1) for line in file if line.strip() and line[0] != "#")
    wrong = []
    for line in lines:
        name, got = line.split(": ", 1)
        if expected.get(name) != got:
            wrong.append(f"{name}: {got}, expected {expected.get(name)}")
    said = server.text().count("\n") - before
    assert not wrong, f"{len(wrong)} of {len(lines)}: " + "; ".join(wrong[:8])
    assert said <= len(lines) + 5, f"{said} log lines for {len(lines)} offences"
    return f"{len(lines)} offences, {said} log lines"


def large_multi(server, arguments):
    part = i(13) + b"\0" + i(-1) + string("/") + i(-1)
    with Client(server.port) as client:
        error, body = client.call(14, part * 100_000 + i(-1) + b"\1" + i(-1))
        assert error == 0 and len(body) == 9 * 100_001, (error, len(body))
        # One part that fails, at the very end.
        error, body = client.call(14, part * 99_999 + i(13) + b"\0" + i(-1) + string("/no") + i(-1) + i(-1) + b"\1" + i(-1))
        assert error == 0 and body[-13:-9] == i(-101), (error, body[-30:])
    return "100000 parts"


def slow_readers(server, arguments):
    """Each asks for far more than the kernel's buffers take, and reads nothing."""
    count = arguments.connections
    with Client(server.port) as client:
        assert client.call(1, create("/value", b"v" * VALUE))[0] == 0
    before = server.memory()
    asked = b"".join(request(n, 4, string("/value") + b"\0") for n in range(ASKED))
    readers, peak = [], before
    for _ in range(count):
        reader = Client(server.port, receive_buffer=16384, timeout_ms=120000)
        reader.socket.sendall(asked)
        readers.append(reader)
        if len(readers) % 500 == 0:
            peak = max(peak, server.memory())
    time.sleep(1)
    peak = max(peak, server.memory())
    # Those who begin to read get everything, in order.
    for reader in readers[::max(1, count // 20)]:
        for n in range(ASKED):
            xid, _, error, body = reader.reply()
            assert (xid, error, len(body)) == (n, 0, VALUE + 72), (xid, error, len(body))
    for reader in readers:
        reader.socket.close()
    bound = count * (OUTPUT_MAX + 32 * 1024) + 64 * MIB
    assert peak - before < bound, f"{(peak - before) // MIB} MiB more, bound {bound // MIB} MiB"
    return f"{count} connections, {(peak - before) // 1024 // count} KiB each, bound {bound // count // 1024}"


def half_open(server, arguments):
    """Connections that say nothing, or half of a hello, are let go after a while, and cost little."""
    before, count = server.memory(), arguments.connections
    connections = []
    for n in range(count):
        client = Client(server.port, handshake=False)
        client.socket.sendall(hello()[:n % 45])
        connections.append(client)
    grown = server.memory() - before
    assert grown < count * 16 * 1024 + 32 * MIB, f"{grown // MIB} MiB more for {count} connections"
    with Client(server.port) as client:
        assert client.call(3, string("/") + b"\0")[0] == 0
    deadline, waiting = time.monotonic() + 40, selectors.DefaultSelector()
    for client in connections:
        waiting.register(client.socket, selectors.EVENT_READ)
    left = count
    while left and time.monotonic() < deadline:
        for key, _ in waiting.select(1):
            waiting.unregister(key.fileobj)
            left -= 1
    for client in connections:
        client.socket.close()
    assert left == 0, f"{left} of {count} are still open after 40 s"
    return f"{count} connections, {grown // 1024 // count} KiB each, all closed by the server"


def byte_by_byte(server, arguments):
    with Client(server.port, handshake=False) as client:
        for byte in hello() + request(1, 1, create("/slowly", b"x", 1)) + request(2, 4, string("/slowly") + b"\0"):
            client.socket.sendall(bytes([byte]))
            time.sleep(0.001)
        assert len(client.take()) == 37
        assert client.reply()[:3:2] == (1, 0)
        assert client.reply()[:3:2] == (2, 0)
    return ""


def many_watches(server, arguments):
    before, count = server.memory(), 100_000
    with Client(server.port) as client:
        for start in range(0, count, 1000):
            client.socket.sendall(b"".join(request(n, 3, string(f"/watched-{n}") + b"\1") for n in range(start, start + 1000)))
            for n in range(start, start + 1000):
                assert client.reply()[:3:2] == (n, -101)
        grown = server.memory() - before
        assert grown < 100 * MIB, f"{grown // MIB} MiB for {count} watches"
        with Client(server.port) as other:
            assert other.call(1, create("/watched-4711", b"", 1))[0] == 0
        client.call(3, string("/") + b"\0")
        assert (1, "/watched-4711") in client.events, client.events
    return f"{grown // count} bytes each"


def unread_events(server, arguments):
    """A client that does not read its events is let go, before they fill the memory."""
    before, reader = server.memory(), Client(server.port, receive_buffer=16384)
    name = "/e" + "x" * 2000
    reader.call(106, string("/") + i(1))
    with Client(server.port) as writer:
        assert writer.call(1, create(name))[0] == 0
        body = string(name) + string(b"") + i(-1)
        peak = before
        for _ in range(40):
            writer.socket.sendall(b"".join(request(n, 5, body) for n in range(400)))
            for _ in range(400):
                assert writer.reply()[2] == 0
            peak = max(peak, server.memory())
        writer.call(2, string(name) + i(-1))
    reader.socket.close()
    assert peak - before < 96 * MIB, f"{(peak - before) // MIB} MiB more"
    return f"{40 * 400} events of 2 KB, {(peak - before) // MIB} MiB more"


def connect_storm(server, arguments):
    """Many at once, half of which leave without a word."""
    start, served = time.monotonic(), 0

    def storm():
        nonlocal served
        for n in range(500):
            client = Client(server.port, handshake=False)
            client.socket.sendall(hello())
            if n % 2:
                assert len(client.take()) == 37
                served += 1
            client.socket.close()
    threads = [threading.Thread(target=storm) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert served == 2000, served
    return f"4000 connections in {time.monotonic() - start:.1f} s"


CASES = [bad_frames, large_multi, byte_by_byte, many_watches, unread_events, connect_storm, slow_readers, half_open]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True, help="shell command to which the path of a zoo.cfg is appended")
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--record", action="store_true", help="print the outcomes of the offences, and end")
    parser.add_argument("cases", nargs="*")
    arguments = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    arguments.connections = min(arguments.connections, hard - 500)
    if arguments.record:
        with Server(arguments.server, flags=FLAGS) as server:
            print("\n".join(judge(server)))
        return 0
    passed = failed = 0
    with Server(arguments.server, flags=FLAGS) as server:
        for case in CASES:
            name = case.__name__.replace("_", "-")
            if arguments.cases and name not in arguments.cases:
                continue
            try:
                start, bystander = time.monotonic(), Bystander(server.port)
                bystander.start()
                try:
                    text = case(server, arguments)
                finally:
                    why = bystander.finish()
                assert why is None, f"another client was not served: {why}"
                assert bystander.longest < 10, f"another client waited {bystander.longest:.1f} s"
                assert server.process.poll() is None, "the server has ended"
                passed += 1
                print(f"PASS hostile-{name} {text} ({time.monotonic() - start:.1f} s, another client waited "
                      f"{bystander.longest * 1000:.0f} ms at most)", flush=True)
            except Exception as error:
                failed += 1
                print(f"FAIL hostile-{name} {error!r}", flush=True)
                traceback.print_exc()
                print(server.text()[-1500:], file=sys.stderr)
                if server.process.poll() is not None:
                    print(server.text()[-3000:], file=sys.stderr)
                    break
        panics = server.text().count("panicked")
        if panics:
            failed += 1
            print(f"FAIL hostile-log {panics} panics")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
