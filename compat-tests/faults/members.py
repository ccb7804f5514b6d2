"""Members of an ensemble: each on a host and a file system of its own."""

import glob
import os
import re
import shlex
import signal
import struct
import subprocess
import time

from client import Gone, Session
from hosts import run

QUORUM, ELECTION, CLIENT = 2888, 3888, 2181


class Disk:
    """A file system in a file: it can lose its power, or have no room."""

    def __init__(self, file, mount, kind, mib):
        self.file, self.mount, self.kind = file, mount, kind
        os.makedirs(mount, exist_ok=True)
        with open(file, "wb") as image:
            image.truncate(mib << 20)
        run(f"mkfs.{kind}", "-q", *(["-f"] if kind == "xfs" else ["-F", "-m", "0"]), file)
        self.attach()

    def attach(self):
        run("mount", "-o", "loop", self.file, self.mount)
        # Its removal may have been lost with the power.
        self.free()

    def detach(self):
        for _ in range(50):
            try:
                return run("umount", self.mount)
            except RuntimeError:
                time.sleep(0.1)
        raise RuntimeError(f"{self.mount} cannot be unmounted")

    def lose_power(self):
        run("xfs_io", "-x", "-c", "shutdown", self.mount)

    def room(self):
        space = os.statvfs(self.mount)
        return space.f_bavail * space.f_frsize

    def fill(self):
        with open(f"{self.mount}/filler", "wb") as filler:
            try:
                os.posix_fallocate(filler.fileno(), 0, max(self.room() - (64 << 10), 1))
            except OSError:
                pass

    def free(self):
        if os.path.exists(f"{self.mount}/filler"):
            os.remove(f"{self.mount}/filler")

    def close(self):
        run("umount", "-l", self.mount, check=False)


class Member:
    def __init__(self, network, n, count, kind, command, folder, disk, tick):
        self.network, self.n, self.kind, self.folder, self.disk = network, n, kind, folder, disk
        self.command, self.process, self.paused = shlex.split(command), None, False
        self.home = disk.mount if disk else f"{folder}/disk"
        os.makedirs(f"{folder}/conf", exist_ok=True)
        lines = [f"dataDir={self.home}/data", f"tickTime={tick}", "initLimit=20", "syncLimit=6", "admin.enableServer=false",
                 f"clientPort={CLIENT}", "4lw.commands.whitelist=*", "preAllocSize=1024", "snapCount=5000", "maxClientCnxns=0"]
        lines += [f"server.{m}={network.address(m)}:{QUORUM}:{ELECTION}:participant" for m in range(1, count + 1)]
        if n % 2 == 1:
            # The trees are small: as leaders these bring others up to date from their log files, the others copy everything.
            lines.append("snapshotSizeFactor=100")
        with open(f"{folder}/conf/zoo.cfg", "w") as file:
            file.write("\n".join(lines) + "\n")
        self.prepare()

    def prepare(self):
        os.makedirs(f"{self.home}/data", exist_ok=True)
        with open(f"{self.home}/data/myid", "w") as file:
            file.write(f"{self.n}\n")
        os.sync()

    def start(self):
        log = open(f"{self.folder}/log", "a")
        # Not `ip netns exec`: it copies the mounts of all disks, which could then not be unmounted.
        command = ["nsenter", f"--net=/var/run/netns/{self.network.host(self.n)}", *self.command, f"{self.folder}/conf/zoo.cfg"]
        self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        self.paused = False

    def send(self, number):
        # `nsenter` becomes the server itself.
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self, number=signal.SIGKILL):
        self.resume()
        self.send(number)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)
            self.process.wait(30)
        self.process = None

    def pause(self):
        self.send(signal.SIGSTOP)
        self.paused = True

    def resume(self):
        if self.paused:
            self.send(signal.SIGCONT)
            self.paused = False

    def ended(self):
        """The exit code if it has ended without being asked to."""
        return self.process.poll() if self.process else None

    def said(self, count=40):
        try:
            with open(f"{self.folder}/log", errors="replace") as file:
                return "".join(file.readlines()[-count:])
        except OSError:
            return ""

    def address(self):
        return self.network.address(self.n), CLIENT

    def word(self, command, wait=2.0):
        import socket
        try:
            with socket.create_connection(self.address(), timeout=wait) as connection:
                connection.sendall(command.encode())
                answer = b""
                while more := connection.recv(65536):
                    answer += more
                return answer.decode(errors="replace")
        except OSError:
            return ""

    def mode(self):
        found = re.search(r"^Mode: (\w+)", self.word("srvr"), re.M)
        return found.group(1) if found else ""

    def digests(self):
        """zxid -> digest of the tree, of those it keeps."""
        return dict(re.findall(r"^([0-9a-f]+): (-?\d+)$", self.word("hash"), re.M))

    def logged(self, since):
        """zxid -> bytes of each transaction in the log files, from a zxid on."""
        records = {}
        for name in glob.glob(f"{self.home}/data/version-2/log.*"):
            with open(name, "rb") as file:
                data = file.read()
            at = 16
            while at + 12 <= len(data):
                checksum, length = struct.unpack_from(">qi", data, at)
                if length <= 0 or at + 12 + length + 1 > len(data) or data[at + 12 + length] != 0x42:
                    break
                body = data[at + 12:at + 12 + length]
                zxid = struct.unpack_from(">q", body, 12)[0]
                if zxid >= since:
                    records[zxid] = body
                at += 12 + length + 1
        return records

    def nodes(self, paths):
        """path -> (value, mzxid, version), through this member, caught up."""
        history = []
        session = Session({self.n: self.address()}, lambda members: self.n, history, 5)
        for patience in range(50):
            try:
                found = {}
                session.sync("/")
                for path in paths:
                    record = session.get(path)
                    if record.outcome == "ok":
                        found[path] = (record.value, record.mzxid, record.version)
                session.end()
                return found, history[-1].zxid if history else 0
            except Gone:
                time.sleep(0.3)
        raise RuntimeError(f"member {self.n} cannot be read: {self.said(5)}")
