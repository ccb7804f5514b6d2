#!/usr/bin/env python3
"""`oxkeeper cli` against what zkCli.sh printed on standard output and on standard error, prompts and greeting included.

usage: streams.py OXKEEPER HOST:PORT     (a fresh server without extendedTypesEnabled)
testdata/session.* is a session of zkCli.sh 3.9.5 whose lines came through a pipe, testdata/oneshot.txt single commands
with their exit codes. Prints what differs.
Left out: news of watches and of the connection, which Java prints from another thread; `help`, which is a command here;
the note of JLine about the terminal; the version; stack traces.
"""
import difflib
import pathlib
import re
import subprocess
import sys

PROGRAM, SERVER = sys.argv[1:3]
DATA = pathlib.Path(__file__).parent / "testdata"
PORT = "127.0.0.1:11300"


def run(arguments, lines=""):
    done = subprocess.run([PROGRAM, "cli", *arguments], input=lines, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def normal(text):
    text = text.replace(SERVER, PORT)
    text = re.sub(r"\n?WATCHER::\n\nWatchedEvent .*\n", "", text)
    text = re.sub(r"\(CONNECTING\)", "(CONNECTED)", text)
    text = re.sub(r"([cm]time = ).*", r"\1DATE", text)
    text = re.sub(r"((?:c|m|p)Zxid = )0x\w+", r"\1Z", text)
    text = re.sub(r"(ZooKeeper CLI version: ).*", r"\1V", text)
    return [line for line in text.split("\n") if line.strip()]


def without_help(lines):
    """Standard error of the session begins with the answer to `help`, which is that to an unknown command."""
    for at, line in enumerate(lines):
        if line == "Command not found: Command not found help":
            return lines[at + 1:]
    return lines


def differ(name, expected, found):
    lines = list(difflib.unified_diff(expected, found, "zkCli.sh " + name, "oxkeeper cli", lineterm="", n=1))
    print("\n".join(lines), end="\n" if lines else "")
    return bool(lines)


def session():
    run(["-server", SERVER, "create", "/ns"])
    commands = (DATA / "session.input.txt").read_text().replace(PORT, SERVER)
    # `help` says other things here; the count of the prompt stays.
    code, out, err = run(["-server", SERVER], commands.replace("help\n", "printwatches on\n", 1))
    bad = differ("stdout", normal((DATA / "session.stdout.txt").read_text()), normal(out))
    bad |= differ("stderr", without_help(normal((DATA / "session.stderr.txt").read_text())), normal(err))
    return bad or code != 0


def oneshot():
    bad = False
    for block in (DATA / "oneshot.txt").read_text().split("$ zkCli.sh ")[1:]:
        head, rc, *lines = block.rstrip("\n").split("\n")
        if PORT not in head:
            continue  # to the default server, or to one that is not there
        stream = {name: "".join(line[5:] + "\n" for line in lines if line.startswith(name)) for name in ("out", "err")}
        code, out, err = run(head.replace(PORT, SERVER).split())
        bad |= differ(head, [rc, *normal(stream["out"])], [f"rc={code}", *normal(out)])
        # The capture shows three lines of a usage.
        expected = normal(stream["err"])
        bad |= differ(head, expected, normal(err)[: len(expected)])
    return bad


sys.exit(session() | oneshot())
