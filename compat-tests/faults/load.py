"""Clients: each a session in a thread, with operations by chance. Nodes of a round begin with its name."""

import random
import threading
import time

from client import BAD_VERSION, Gone, Session, set_request

KEYS, PAIRS = 12, 4


def register(base, n):
    return f"{base}/k{n}"


def pair(base, n):
    return [f"{base}/p{n}a", f"{base}/p{n}b"]


def paths(base):
    return [register(base, n) for n in range(KEYS)] + [path for n in range(PAIRS) for path in pair(base, n)]


class Worker(threading.Thread):
    def __init__(self, number, seed, members, base, counter, pause):
        super().__init__(daemon=True)
        self.number, self.random, self.base, self.pause = number, random.Random(seed * 1000 + number), base, pause
        self.history, self.stopping, self.failure, self.counter = [], False, None, counter
        self.session = Session(members, lambda all: self.random.choice(list(all)), self.history, 3)
        self.seen = {}

    def value(self):
        self.counter[self.number] += 1
        return b"w.%d.%d.e" % (self.number, self.counter[self.number]) + b"x" * self.random.choice((0, 0, 50, 400))

    def run(self):
        while not self.stopping:
            try:
                self.step()
                if self.pause:
                    time.sleep(self.random.random() * self.pause)
            except Gone:
                time.sleep(self.random.random() * 0.2)
            except Exception as error:  # the campaign reports it
                self.failure = error
                return
        self.session.end()

    def step(self):
        chance, session = self.random.random(), self.session
        path = register(self.base, self.random.randrange(KEYS))
        if chance < 0.01:
            # Goes to another member by itself, with its session.
            session.drop()
        elif chance < 0.30:
            session.set(path, self.value())
        elif chance < 0.38 and path in self.seen:
            record = session.set(path, self.value(), self.seen[path])
            if record.error == BAD_VERSION:
                self.seen.pop(path)
        elif chance < 0.46:
            session.set_both(pair(self.base, self.random.randrange(PAIRS)), self.value())
        elif chance < 0.52:
            node = f"{self.base}/n{self.random.randrange(8)}"
            if self.random.random() < 0.6:
                session.create(node, self.value())
            else:
                session.delete(node)
        elif chance < 0.56:
            session.many([set_request(register(self.base, self.random.randrange(KEYS)), self.value()) for _ in range(10)])
        elif chance < 0.62:
            session.sync(path)
            session.get(path)
        else:
            record = session.get(path)
            self.seen[path] = record.version
