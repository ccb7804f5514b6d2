"""Test hosts: network namespaces on a bridge, with addresses of their own, whose connections can be cut in each direction."""

import os
import random
import subprocess
import time


def run(*words, check=True):
    done = subprocess.run(words, capture_output=True, text=True)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


class Network:
    """`member(n)` is 10.B.C.n, clients are 10.B.C.254."""

    def __init__(self, count):
        self.tag = f"oxf{os.getpid() % 100000}"
        self.subnet = f"10.{random.randrange(200, 255)}.{random.randrange(1, 255)}"
        self.bridge, self.count = f"{self.tag}br", count
        run("ip", "link", "add", self.bridge, "type", "bridge")
        try:
            run("ip", "addr", "add", f"{self.subnet}.254/24", "dev", self.bridge)
            run("ip", "link", "set", self.bridge, "up")
            for n in range(1, count + 1):
                self.add(n)
        except RuntimeError:
            self.close()
            raise

    def add(self, n):
        name, veth = self.host(n), f"{self.tag}v{n}"
        run("ip", "netns", "add", name)
        run("ip", "link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "link", "set", veth, "master", self.bridge, "up")
        run("ip", "-n", name, "addr", "add", f"{self.address(n)}/24", "dev", "eth0")
        run("ip", "-n", name, "link", "set", "eth0", "up")
        run("ip", "-n", name, "link", "set", "lo", "up")
        rules = "table inet faults { chain in { type filter hook input priority 0; }; chain out { type filter hook output priority 0; }; }"
        self.inside(n, "nft", rules)

    def host(self, n):
        return f"{self.tag}-{n}"

    def address(self, n):
        return f"{self.subnet}.{n}"

    def inside(self, n, *words):
        return run("ip", "netns", "exec", self.host(n), *words)

    def cut(self, source, target):
        """What `source` sends does not arrive at `target`."""
        self.inside(target, "nft", f"add rule inet faults in ip saddr {self.address(source)} drop")

    def reset(self, n, others, seconds):
        """Every packet of the others to n, and n's to them, is answered by a reset for a moment: all connections end."""
        for other in others:
            self.inside(n, "nft", f"add rule inet faults in ip saddr {self.address(other)} meta l4proto tcp reject with tcp reset")
            self.inside(other, "nft", f"add rule inet faults in ip saddr {self.address(n)} meta l4proto tcp reject with tcp reset")
        time.sleep(seconds)
        self.heal()

    def heal(self):
        for n in range(1, self.count + 1):
            self.inside(n, "nft", "flush chain inet faults in; flush chain inet faults out")

    def close(self):
        for n in range(1, self.count + 1):
            run("ip", "netns", "del", self.host(n), check=False)
        run("ip", "link", "del", self.bridge, check=False)
