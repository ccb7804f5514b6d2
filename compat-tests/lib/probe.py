"""probe.py PORT SECONDS [PID]: waits until a ZooKeeper server on 127.0.0.1:PORT opens a session.

A real handshake instead of a four-letter word: words may be forbidden by the configuration, sessions are what
clients need. The session is closed again. Ends early when process PID is gone.
"""
import os
import socket
import struct
import sys
import time

port, limit = int(sys.argv[1]), float(sys.argv[2])
pid = sys.argv[3] if len(sys.argv) > 3 else None
connect = struct.pack(">iqiqi16s?", 0, 0, 4000, 0, 16, bytes(16), False)
close = struct.pack(">ii", 1, -11)


def exactly(s, n):
    data = b""
    while len(data) < n:
        part = s.recv(n - len(data))
        if not part:
            raise OSError("closed")
        data += part
    return data


def serves():
    with socket.create_connection(("127.0.0.1", port), 2) as s:
        s.settimeout(5)
        s.sendall(struct.pack(">i", len(connect)) + connect)
        (length,) = struct.unpack(">i", exactly(s, 4))
        session = struct.unpack(">iiq", exactly(s, length)[:16])[2]
        s.sendall(struct.pack(">i", len(close)) + close)
        exactly(s, 4)
        return session != 0


def alive():
    try:
        with open(f"/proc/{pid}/status") as f:
            return "\nState:\tZ" not in f.read()
    except OSError:
        return False


end = time.monotonic() + limit
while time.monotonic() < end:
    try:
        if serves():
            sys.exit(0)
    except OSError:
        pass
    if pid and not alive():
        sys.exit("the server ended")
    time.sleep(0.05)
sys.exit(f"no session within {limit:g} s")
