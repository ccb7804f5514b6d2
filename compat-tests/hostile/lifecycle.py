"""What ends by itself, and how a server ends: sessions expire in time and their ephemeral nodes go with an event, TTL nodes
and containers are removed, signals and wrong settings end the process with the original's codes. Prints PASS, FAIL and a
last line of counts."""

import argparse
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time

from server import OPEN_ACL, Client, Server, create, request, string

TICK = 0.5
# A busy machine may be late, never early.
LATE = 3.0


def i(*numbers):
    return struct.pack(f">{len(numbers)}i", *numbers)


def exists(client, path):
    return client.call(3, string(path) + b"\0")[0] == 0


def await_gone(client, path, seconds):
    start = time.monotonic()
    while exists(client, path):
        assert time.monotonic() - start < seconds, f"{path} is still there after {seconds} s"
        time.sleep(0.02)
    return time.monotonic() - start


def expiry(arguments):
    with Server(arguments.server) as server, Client(server.port) as watcher:
        seen = []
        for timeout_ms in (1000, 1700, 3000):
            path = f"/short-{timeout_ms}"
            owner = Client(server.port, timeout_ms=timeout_ms)
            timeout = owner.timeout_ms / 1000
            assert owner.call(1, create(path, b"", 1))[0] == 0
            assert watcher.call(3, string(path) + b"\1")[0] == 0
            last = time.monotonic()
            owner.socket.close()
            # The event comes by itself, pushed in front of no reply.
            answer = watcher.take()
            waited = time.monotonic() - last
            xid, kind = struct.unpack(">i", answer[:4])[0], struct.unpack(">i", answer[16:20])[0]
            assert (xid, kind) == (-1, 2) and answer[28:].decode() == path, answer
            assert not exists(watcher, path)
            assert timeout - 0.05 <= waited <= timeout + TICK + LATE, f"timeout {timeout} s, expired after {waited:.2f} s"
            with Client(server.port, resume=owner.session) as again:
                assert again.session[0] == 0, "an expired session was resumed"
            seen.append(f"{waited:.2f} s of {timeout:.1f}")
        # A session that is heard lives on.
        alive = Client(server.port, timeout_ms=1000)
        assert alive.call(1, create("/alive", b"", 1))[0] == 0
        for _ in range(12):
            alive.socket.sendall(request(-2, 11))
            assert alive.reply()[0] == -2
            time.sleep(0.25)
        assert exists(watcher, "/alive")
        # And one that moves in time keeps its nodes.
        alive.socket.close()
        with Client(server.port, timeout_ms=1000, resume=alive.session) as moved:
            assert moved.session[0] == alive.session[0]
            assert exists(moved, "/alive")
        return ", ".join(seen)


def expiry_over_a_restart(arguments):
    with Server(arguments.server) as server:
        owner = Client(server.port, timeout_ms=2000)
        assert owner.call(1, create("/owned", b"", 1))[0] == 0
        server.process.kill()
        server.process.wait()
        with open(server.log, "ab") as log:
            server.process = subprocess.Popen(
                ["bash", "-c", f'exec {arguments.server} "$0"', os.path.join(server.home, "zoo.cfg")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=server.home)
        server.await_serving()
        start = time.monotonic()
        with Client(server.port) as client:
            assert exists(client, "/owned"), "the session has its whole timeout again after a restart"
            await_gone(client, "/owned", 2 + TICK + LATE)
        return f"gone {time.monotonic() - start:.2f} s after the restart"


def containers_and_ttl(arguments):
    with Server(arguments.server, flags="-Dznode.container.checkIntervalMs=500") as server, Client(server.port) as client:
        assert client.call(19, create("/container", b"", 4))[0] == 0
        assert client.call(19, create("/unused", b"", 4))[0] == 0
        assert client.call(1, create("/container/child"))[0] == 0
        assert client.call(21, string("/ttl") + string(b"") + OPEN_ACL + i(5) + struct.pack(">q", 1500))[0] == 0
        assert client.call(21, string("/ttl-busy") + string(b"") + OPEN_ACL + i(5) + struct.pack(">q", 1500))[0] == 0
        made = time.monotonic()
        client.call(3, string("/ttl") + b"\1")
        while exists(client, "/ttl"):
            assert client.call(5, string("/ttl-busy") + string(b"x") + i(-1))[0] == 0
            assert time.monotonic() - made < 1.5 + 0.5 + LATE
            time.sleep(0.05)
        waited = time.monotonic() - made
        assert waited >= 1.45, waited
        client.call(3, string("/") + b"\0")
        assert (2, "/ttl") in client.events, client.events
        assert exists(client, "/ttl-busy"), "a node that is set lives on"
        assert exists(client, "/container") and exists(client, "/unused"), "a container goes after its last child, not before its first"
        assert client.call(2, string("/container/child") + i(-1))[0] == 0
        await_gone(client, "/container", 0.5 + LATE)
        await_gone(client, "/ttl-busy", 2 + LATE)
        return f"TTL of 1.5 s after {waited:.2f} s"


def signals(arguments):
    told = []
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        with Server(arguments.server) as server, Client(server.port) as client:
            for n in range(200):
                assert client.call(1, create(f"/n{n}"))[0] == 0
            client.socket.sendall(b"".join(request(n, 1, create(f"/m{n}")) for n in range(500)))
            server.process.send_signal(number)
            got = server.process.wait(30)
            # A shell in front says it with its own number; a JVM and Oxkeeper by themselves.
            assert got == code, f"{number.name}: exit code {got}, expected {code}"
            assert "ERROR" not in server.text(), server.text()[-500:]
            told.append(f"{number.name} {got}")
    return ", ".join(told)


def run_with(arguments, text):
    """Exit code and output of a server with this configuration."""
    with tempfile.TemporaryDirectory(prefix="oxkeeper-lifecycle.") as home:
        path = os.path.join(home, "zoo.cfg")
        with open(path, "w") as file:
            file.write(text.replace("HOME", home))
        done = subprocess.run(["bash", "-c", f'exec {arguments.server} "$0"', path], cwd=home, timeout=60,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.returncode, done.stdout


def wrong_configuration(arguments):
    wrong = ["clientPort=0\n", "dataDir=HOME/data\nclientPort=0\ntickTime=0\n", "dataDir=HOME/data\nclientPort=many\n",
             "dataDir=HOME/data\nclientPort=0\nminSessionTimeout=9000\nmaxSessionTimeout=100\n"]
    for text in wrong:
        code, said = run_with(arguments, text)
        assert code == 2, f"{text!r}: exit code {code}, expected 2: {said[-300:]}"
        assert said.strip(), text
    return f"{len(wrong)} files"


def port_in_use(arguments):
    with Server(arguments.server) as server:
        code, said = run_with(arguments, f"dataDir=HOME/data\nclientPort={server.port}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n")
        assert code == 1, f"exit code {code}, expected 1"
        assert "in use" in said and "panicked" not in said, said[-500:]
        if "oxkeeper" in said:
            assert str(server.port) in said, said[-500:]
        with Client(server.port) as client:
            assert exists(client, "/")
    return ""


CASES = [expiry, expiry_over_a_restart, containers_and_ttl, signals, wrong_configuration, port_in_use]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True, help="shell command to which the path of a zoo.cfg is appended")
    parser.add_argument("cases", nargs="*")
    arguments = parser.parse_args()
    passed = failed = 0
    for case in CASES:
        name = case.__name__.replace("_", "-")
        if arguments.cases and name not in arguments.cases:
            continue
        try:
            text = case(arguments)
            passed += 1
            print(f"PASS lifecycle-{name} {text}".rstrip(), flush=True)
        except Exception as error:
            failed += 1
            print(f"FAIL lifecycle-{name} {error!r}", flush=True)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
