"""Writes through kazoo until FILE exists, then looks whether everything is there: kazoo_load.py ZK FILE. One line of JSON."""

import collections
import json
import os
import sys
import time

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import ConnectionLoss, NodeExistsError, OperationTimeoutError
from kazoo.handlers.threading import KazooTimeoutError

hosts, end = sys.argv[1:]
states, errors, acknowledged, disconnected = collections.Counter(), collections.Counter(), [], 0
client = KazooClient(hosts, timeout=10, connection_retry={"max_tries": -1, "delay": 0.1, "max_delay": 1})
client.add_listener(lambda state: states.update([state]))
client.start(30)
session = client.client_id[0]
client.create("/kazoo-alive", ephemeral=True)
client.create("/kazoo")
number = 0
while not os.path.exists(end):
    path = f"/kazoo/n{number}"
    number += 1
    try:
        client.create(path, path.encode())
        acknowledged.append(path)
        if number % 10 == 0:
            client.set(path, b"again")
            client.get_children("/")
    except (ConnectionLoss, OperationTimeoutError, KazooTimeoutError, NodeExistsError):
        disconnected += 1
        time.sleep(0.1)
    except Exception as error:  # whatever it is, it is told
        errors[f"{type(error).__name__}: {error}"] += 1
        time.sleep(0.1)
    time.sleep(0.002)
for attempt in range(60):
    try:
        client.sync("/kazoo")
        there = set(client.get_children("/kazoo"))
        alive = client.exists("/kazoo-alive")
        break
    except ConnectionLoss:
        time.sleep(0.5)
print(json.dumps({
    "acknowledged": len(acknowledged), "lost_writes": sum(path.rpartition("/")[2] not in there for path in acknowledged),
    "lost_sessions": states[KazooState.LOST], "session_kept": bool(alive) and alive.ephemeralOwner == session,
    "reconnects": states[KazooState.SUSPENDED], "connection_losses": disconnected, "errors": str(dict(errors)) if errors else ""}))
client.stop()
