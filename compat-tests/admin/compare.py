"""compare.py JAVA_PORT JAVA_ADMIN OUR_PORT OUR_ADMIN: asks two admin servers the same and compares the answers."""

import json
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "ensemble"))
import zk  # noqa: E402

JAVA_PORT, JAVA_ADMIN, OUR_PORT, OUR_ADMIN = map(int, sys.argv[1:5])

# Values that differ by nature: of these only the kind is compared.
BY_NATURE = {
    "client_port", "data_dir", "data_log_dir", "remote_socket_address", "packets_received", "packets_sent",
    "established", "last_response_time", "last_latency", "min_latency", "avg_latency", "max_latency", "uptime",
    "datadir_size", "logdir_size", "data_dir_size", "log_dir_size", "timestamp", "version", "last_buffer_size",
    "min_buffer_size", "max_buffer_size", "initial_configuration",
}
# Readings and environments: another program has others.
OTHER_PROGRAM = {"monitor", "environment", "system_properties"}


def request(port, method, path, headers=(), body=b""):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        head = f"{method} {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n"
        for name, value in headers:
            head += f"{name}: {value}\r\n"
        if body or method == "POST":
            head += f"Content-Length: {len(body)}\r\n"
        connection.sendall(head.encode() + b"\r\n" + body)
        answer = b""
        while more := connection.recv(1 << 16):
            answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    found = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    if found.get("transfer-encoding") == "chunked":
        whole = b""
        while True:
            size, _, body = body.partition(b"\r\n")
            size = int(size, 16)
            if size == 0:
                break
            whole, body = whole + body[:size], body[size + 2:]
        body = whole
    return int(lines[0].split(" ")[1]), found, body


def kind(value):
    return {bool: "truth", int: "number", float: "real", str: "text", type(None): "nothing"}[type(value)]


def normal(value, sessions, key=""):
    """The same for both, where they agree: session ids by their order of appearance, what differs by nature by its kind."""
    if isinstance(value, dict):
        # Maps by session and by expiry have no order of their own.
        by_expiry = key == "expiry_time_to_session_ids"
        # Where a session has moved on, the original keeps its old bucket, empty, until that time has come.
        names = [name for name in value if value[name] or not by_expiry]
        pairs = [(sessions.get(name, "EXPIRY" if by_expiry else name), name) for name in names]
        return [(shown, normal(value[name], sessions, name)) for shown, name in (sorted(pairs) if key.endswith("_ids") or key.endswith("_paths") else pairs)]
    if isinstance(value, list):
        items = [normal(item, sessions, key) for item in value]
        return sorted(items, key=repr) if key in ("connections",) or key in sessions or key.startswith("/") or key.isdigit() else items
    if isinstance(value, int) and not isinstance(value, bool) and str(value) in sessions:
        return sessions[str(value)]
    return kind(value) if key in BY_NATURE else value


class Side:
    def __init__(self, port, admin):
        self.port, self.admin = port, admin
        self.one, self.two = zk.Client(port, timeout_ms=20000), zk.Client(port, timeout_ms=20000)
        self.sessions = {str(self.one.session): "ONE", str(self.two.session): "TWO"}
        self.one.create("/cap", b"data")
        self.one.create("/cap/eph", b"", 1)
        self.two.create("/cap/eph2", b"", 1)
        self.one.call(4, zk.text("/cap") + b"\1")
        try:
            self.one.call(3, zk.text("/cap/none") + b"\1")
        except zk.ZkError:
            pass  # The watch stays: it is for a node that is not there.
        self.two.call(4, zk.text("/cap") + b"\1")

    def ping(self):
        self.one.ping()
        self.two.ping()

    def ask(self, method, path, headers=(), body=b""):
        return request(self.admin, method, path, headers, body)


java, ours = Side(JAVA_PORT, JAVA_ADMIN), Side(OUR_PORT, OUR_ADMIN)
failed = set()


def check(name, left, right, rest=""):
    if left == right:
        print("PASS", name, rest)
    else:
        print("FAIL", name, f"java {str(left)[:1500]!r} here {str(right)[:1500]!r}")


def json_of(side, method, path, headers=(), body=b""):
    status, found, body = side.ask(method, path, headers, body)
    document = json.loads(body)
    return status, found.get("content-type"), document, body


status, found, index = java.ask("GET", "/commands")
ours_index = ours.ask("GET", "/commands")
check("index", (status, found.get("content-type"), index), (ours_index[0], ours_index[1].get("content-type"), ours_index[2]))
names = [line.split(b">")[1].split(b"<")[0].decode() for line in index.splitlines() if line.startswith(b"<a")]
aliases = ["conf", "config", "cons", "env", "envi", "gtmk", "icfg", "isro", "lsnp", "lead", "mntr", "orst", "obsr",
           "srvr", "stat", "srst", "crst", "sysp", "wchs", "wchc", "wchp"]
java.ping(), ours.ping()
for name in [name for name in names if name not in ("snapshot", "restore", "set_trace_mask")] + aliases:
    left = json_of(java, "GET", f"/commands/{name}")
    right = json_of(ours, "GET", f"/commands/{name}")
    if left[2]["command"] in OTHER_PROGRAM:
        first = ["version", "server_state"] if left[2]["command"] == "monitor" else []
        shape = [(side[0], side[1], list(side[2])[:len(first)] == first, list(side[2])[-2:], side[2]["error"]) for side in (left, right)]
        check(name, *shape, "by its form")
        if left[2]["command"] == "monitor":
            missing = [key for key in left[2] if key not in right[2] and "jvm" not in key]
            check(name + "-readings", [], missing, f"{len(left[2])} readings")
        continue
    documents = []
    for side, (status, content, document, _) in ((java, left), (ours, right)):
        shown = normal(document, side.sessions)
        if left[2]["command"] in ("server_stats", "stats"):
            # Reflection decides on the order of the fields of one object, anew in each run of a JVM.
            shown = [(key, sorted(value, key=repr) if key == "server_stats" else value) for key, value in shown]
        documents.append((status, content, shown))
    check(name, *documents)
for path in ["nope", "no%20pe", "set_trace_mask", "stmk?traceMask=17", "gtmk", "stmk?traceMask=x", "stmk?traceMask=",
             "stmk?traceMask=306&traceMask=1", "ruok/", "RUOK", "ruok?x=1"]:
    left, right = (json_of(side, "GET", f"/commands/{path}") for side in (java, ours))
    check(path.replace(" ", "%20"), (left[0], left[1], left[3]), (right[0], right[1], right[3]), "byte for byte")
for method, path in [("HEAD", "/commands/ruok"), ("PUT", "/commands/ruok"), ("DELETE", "/commands/ruok"), ("TRACE", "/commands/ruok"),
                     ("GET", "/"), ("GET", "/other"), ("GET", "/commandsx"), ("POST", "/commands/nope"), ("POST", "/commands/"),
                     ("POST", "/commands/restore"), ("OPTIONS", "/commands/ruok"), ("TRACE", "/other")]:
    if (method, path) == ("GET", "/"):
        continue  # here is the web page
    left, right = (side.ask(method, path)[0] for side in (java, ours))
    check(f"{method}{path}", left, right, str(left))
# On purpose: a Java null pointer is answered by 405.
for method, path, headers in [("POST", "/commands/ruok", ()), ("GET", "/commands/restore", [("Authorization", "digest super:secret")])]:
    left, right = (side.ask(method, path, headers)[0] for side in (java, ours))
    check(f"{method}{path}", (500, 405) if os.environ.get("SERVER_CMD") else (500, 500), (left, right))
for header in [None, "world anyone", "nope x", "digest", "digest a b", "digest  a", "digest a:b", "ip", "x509", "", "digest super:secret"]:
    headers = [] if header is None else [("Authorization", header)]
    left, right = (json_of(side, "GET", "/commands/snapshot?streaming=false", headers) for side in (java, ours))
    check(f"auth-{header}".replace(" ", "+"), (left[0], left[1], left[3]), (right[0], right[1], right[3]), str(left[0]))
# Each takes the other's data.
identity = [("Authorization", "digest super:secret")]
for side, other, name in ((java, ours, "ours-from-java"), (ours, java, "java-from-ours")):
    # A server that has taken other data has closed the sessions of before, or answers them no more.
    fresh = zk.Client(side.port)
    fresh.create("/moved", name.encode())
    fresh.end()
    status, found, snapshot = side.ask("GET", "/commands/snapshot?streaming=true", identity)
    check(f"snapshot-{name}", (200, "application/octet-stream", len(snapshot)), (status, found.get("content-type"), int(found["snapshot_size"])))
    status, _, document, _ = json_of(other, "POST", "/commands/restore", identity, snapshot)
    check(f"restore-{name}", (200, ["last_zxid", "command", "error"]), (status, list(document)))
    fresh = zk.Client(other.port)
    check(f"data-{name}", name.encode(), fresh.get("/moved"))
    fresh.create(f"/after-{name}")
    fresh.end()
    for end in (side, other):
        fresh = zk.Client(end.port)
        fresh.delete("/moved")
        fresh.end()
for name, body in [("garbage", b"x" * 1000), ("empty", b"")]:
    left, right = (side.ask("POST", "/commands/restore", identity, body)[0] for side in (java, ours))
    check(f"restore-{name}", left, right, str(left))
