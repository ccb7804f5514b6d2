"""free_ports.py N: prints the first of N consecutive ports of 127.0.0.1 that are free now."""
import random
import socket
import sys

count = int(sys.argv[1])
try:
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        end = int(f.read().split()[0])
except OSError:
    end = 32768
start = 10000 if end > 12000 else 1024


def free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


for _ in range(1000):
    first = random.randrange(start, max(end, start + 2 * count) - count)
    if all(free(first + i) for i in range(count)):
        print(first)
        sys.exit(0)
sys.exit("no free ports")
