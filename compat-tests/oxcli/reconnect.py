#!/usr/bin/env python3
"""A shell whose server goes away and comes back: the session, its watches, its identities and its ephemeral node are there
as before, and commands in between fail instead of hanging.

usage: reconnect.py OXKEEPER HOST:PORT "STOP COMMAND" "START COMMAND"
"""
import os
import subprocess
import sys
import time

PROGRAM, SERVER, STOP, START = sys.argv[1:5]
TOP = f"/reconnect-{os.getpid()}"

shell = subprocess.Popen([PROGRAM, "cli", "-server", SERVER, "-timeout", "20000"], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
os.set_blocking(shell.stdout.fileno(), False)
seen = ""


def until(text, seconds=20):
    """Reads up to a text, and forgets what was before it."""
    global seen
    end = time.monotonic() + seconds
    while text not in seen:
        assert time.monotonic() < end, f"{text!r} did not come in {seen!r}"
        seen += (shell.stdout.read() or b"").decode()
        time.sleep(0.005)
    before, seen = seen.split(text, 1)
    return before


def say(line):
    shell.stdin.write(line.encode() + b"\n")
    shell.stdin.flush()


def other(*words):
    done = subprocess.run([PROGRAM, "cli", "-q", "-server", SERVER], input="addauth digest u:p\n" + " ".join(words) + "\n",
                          capture_output=True, text=True, timeout=20)
    assert done.stderr.strip() in ("", f"Created {words[1]}"), done.stderr


until("(CONNECTED) 0] ")
say("addauth digest u:p")
say(f"create {TOP} mine auth::cdrwa")
say(f"create -e {TOP}/ephemeral x")
say(f"get -w {TOP}")
say(f"ls -w {TOP}")
say(f"stat -w {TOP}/later")
say(f"addWatch -m PERSISTENT_RECURSIVE {TOP}/below")
until("(CONNECTED) 7] ")
subprocess.run(STOP, shell=True, check=True)
until("state:Disconnected type:None")
say(f"get {TOP}")
until(f"KeeperErrorCode = ConnectionLoss for {TOP}")
until("(CONNECTING) 8] ")
subprocess.run(START, shell=True, check=True)
until("state:SyncConnected type:None")
# What changes now is what the watches of before must see.
other("set", TOP, "new")
until(f"type:NodeDataChanged path:{TOP} ")
other("create", TOP + "/later", "x")
until(f"path:{TOP}/later ")
other("create", TOP + "/below")
other("create", TOP + "/below/deep")
until(f"type:NodeCreated path:{TOP}/below/deep ")
# Only the identity of before may read it, and the session is the same one.
say(f"get {TOP}")
until("new\n")
say("getEphemerals")
until(f"[{TOP}/ephemeral]")
say("quit")
assert shell.wait(10) == 0
