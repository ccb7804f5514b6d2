#!/usr/bin/env python3
"""Real clients and systems on ensembles whose members are replaced or killed under them.

  clients.py OXKEEPER JAVA_SERVER [NAME...]

Arguments and last line as of scenario.py; started by clients.sh, which has Curator and kazoo at hand (CURATOR, KAZOO: the
commands of the two loads). `kafka-*` and `hbase-*` take minutes each, and the memory of their servers.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time

import scenario
from scenario import JAVA3, OX3, Ensemble, check_everything

COMPAT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def addresses(ensemble):
    return ",".join(f"127.0.0.1:{ensemble.client(id)}" for id in ensemble.kinds)


def replace_all(ensemble, kind, pause=1.0):
    """One member at a time: it is stopped, and the other server goes on with its files."""
    for id in list(ensemble.kinds):
        ensemble.leader()
        time.sleep(pause)
        ensemble.kill(id, signal.SIGTERM)
        ensemble.kinds[id] = kind
        ensemble.start(id)
        ensemble.leader()


def migration(kinds):
    """Java to Oxkeeper and back under Curator and kazoo, with sessions of ten seconds: nobody but reconnects notices."""
    ensemble = Ensemble(kinds)
    loads = {}
    try:
        ensemble.start()
        ensemble.leader()
        end = f"{ensemble.folder}/end"
        for name in ("CURATOR", "KAZOO"):
            command = shlex.split(os.environ[name]) + [addresses(ensemble), end]
            loads[name.lower()] = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=open(f"{ensemble.folder}/{name}", "w"), text=True)
        time.sleep(4)
        began = time.time()
        for kind in ("ox", "java"):
            replace_all(ensemble, kind)
            time.sleep(2)
        took = time.time() - began
        open(end, "w").close()
        said = {}
        for name, load in loads.items():
            out = load.communicate(timeout=60)[0]
            assert load.returncode == 0, f"{name} ended with {load.returncode}: {open(f'{ensemble.folder}/{name.upper()}').read()[-2000:]}"
            said[name] = json.loads(out.strip().splitlines()[-1])
        for name, told in said.items():
            assert told["acknowledged"] > 500, f"{name} has hardly written: {told}"
            assert (told["lost_writes"], told["lost_sessions"], told["session_kept"], told["errors"]) == (0, 0, True, ""), f"{name}: {told}"
        ensemble.trees()
        return f"six replacements in {took:.0f} s; " + "; ".join(
            f"{name}: {told['acknowledged']} acknowledged, none lost, {told['reconnects']} reconnects, session kept" for name, told in said.items())
    finally:
        for load in loads.values():
            load.kill()
        ensemble.end()


def system(name, kinds, act):
    """A whole scenario of another system, while something happens to the ensemble below it."""
    ensemble = Ensemble(kinds)
    try:
        ensemble.start()
        ensemble.leader()
        environment = {**os.environ, "ZK_CONNECT": addresses(ensemble), "COMPAT_LIMIT": "900"}
        with open(f"{ensemble.folder}/{name}", "w") as log:
            running = subprocess.Popen([f"{COMPAT}/run", name], stdout=log, stderr=log, env=environment, start_new_session=True)
        done, failed = [], []

        def acting():
            try:
                act(ensemble, done, lambda: running.poll() is not None)
            except Exception as error:  # told below, with what the system says
                failed.append(error)
        thread = threading.Thread(target=acting)
        thread.start()
        code = running.wait(900)
        thread.join(120)
        text = open(f"{ensemble.folder}/{name}", errors="replace").read()
        assert code == 0 and not failed, f"code {code}, {failed}: {text[-3000:]}"
        passed = sum(line.startswith("PASS") for line in text.splitlines())
        check_everything(ensemble, [])
        return f"{passed} steps passed while {', '.join(done)}"
    finally:
        ensemble.end()


def members_die(ensemble, done, over):
    """kill -9 of the leader, then of a follower, and so on; each comes back at once."""
    while not over():
        time.sleep(20)
        if over():
            break
        leader = ensemble.leader()
        victim = leader if len(done) % 2 == 0 else next(id for id in ensemble.kinds if id != leader)
        ensemble.kill(victim)
        time.sleep(1)
        ensemble.start(victim)
        ensemble.leader()
        done.append("the leader was killed" if victim == leader else "a follower was killed")


def members_are_replaced(ensemble, done, over):
    time.sleep(15)
    for kind in ("ox", "java"):
        replace_all(ensemble, kind, pause=4)
        done.append(f"every member became {kind}")
    assert not over(), "it was over before all members were replaced"


scenario.SCENARIOS = [
    ("migration", migration, JAVA3),
    ("kafka-members-die", lambda kinds: system("kafka", kinds, members_die), OX3),
    ("hbase-members-die", lambda kinds: system("hbase", kinds, members_die), OX3),
    ("kafka-migration", lambda kinds: system("kafka", kinds, members_are_replaced), JAVA3),
]
if __name__ == "__main__":
    sys.exit(scenario.main())
