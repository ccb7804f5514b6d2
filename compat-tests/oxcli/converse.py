#!/usr/bin/env python3
"""Type a script into `oxkeeper cli` and print what comes, command by command.

usage: converse.py SCRIPT OXKEEPER cli [arguments]
The shell prompts also when nobody sits at a terminal, so each line is sent when the prompt is there, and is printed as
"zk> line" in its place: the form of ../zkcli/CliDriver.java, whose transcripts are the expectation. "@sleep N" waits N
milliseconds for watch events; "#" starts a note. Ends with "exit code N".
"""
import os
import re
import subprocess
import sys
import time

LIMIT_S = 60
PROMPT = rb"\[zk: [^\]\n]*\([A-Z_]+\) %s\] "

shell = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
os.set_blocking(shell.stdout.fileno(), False)
deadline = time.monotonic() + LIMIT_S


def until_prompt(number, seconds=LIMIT_S):
    """Prints what the shell prints up to its prompt of that number, or to its end, without prompts. Watch events may
    follow a prompt at any time."""
    wanted = re.compile(PROMPT % str(number).encode())
    got, end = b"", min(deadline, time.monotonic() + seconds)
    while time.monotonic() < end:
        piece = shell.stdout.read()
        if piece == b"":
            break
        if piece is None:
            if wanted.search(got):
                break
            time.sleep(0.002)
            continue
        got += piece
    sys.stdout.write(re.sub(PROMPT % rb"\d+", b"", got).decode())


commands = 0
until_prompt(commands)
for line in open(sys.argv[1], encoding="utf-8").read().splitlines():
    if line.startswith("@sleep "):
        # What comes while nobody types are watch events, behind which no prompt stands.
        time.sleep(int(line[7:]) / 1000)
        continue
    if not line or line.startswith("#"):
        continue
    if shell.poll() is not None:
        print("the shell has ended")
        break
    print("\nzk> " + line)
    shell.stdin.write(line.encode() + b"\n")
    shell.stdin.flush()
    commands += 1
    until_prompt(commands)
shell.stdin.close()
until_prompt("none", 5)
try:
    print("\nexit code", shell.wait(10))
except subprocess.TimeoutExpired:
    shell.kill()
    print("\nthe shell did not end")
