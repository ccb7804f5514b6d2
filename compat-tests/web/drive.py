"""drive.py ZK_PORT ADMIN_PORT DRIVER_PORT PICTURES SERVER_PID: loads a server, and looks at its page with a browser.

The browser is driven by the WebDriver protocol itself, which is a handful of HTTP requests."""

import base64
import hashlib
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "ensemble"))
import zk  # noqa: E402

ZK, ADMIN, DRIVER = map(int, sys.argv[1:4])
PICTURES, SERVER_PID = sys.argv[4], int(sys.argv[5])
BASE = f"http://127.0.0.1:{ADMIN}/"


# ---- the load ------------------------------------------------------------------------------------

def digest(user, password):
    return f"{user}:" + base64.b64encode(hashlib.sha1(f"{user}:{password}".encode()).digest()).decode()


def acl(*entries):
    return struct.pack(">i", len(entries)) + b"".join(struct.pack(">i", perms) + zk.text(scheme) + zk.text(one) for perms, scheme, one in entries)


def create(client, path, data, entries):
    client.call(1, zk.text(path) + zk.text(data) + acl(*entries) + struct.pack(">i", 0))


class Load:
    def __init__(self):
        self.stopping = False
        first = zk.Client(ZK, timeout_ms=30000)
        for path in ["/app", "/app/orders", "/app/config", "/kafka", "/kafka/brokers", "/many"]:
            first.create(path, b"")
        first.create("/app/config/limits", json.dumps({"requests": 1000, "burst": [1, 2, 3], "name": "gr\u00fcn", "id": 12345678901234567890, "9": [], "1": {}}).encode())
        first.create("/app/config/key", bytes(range(256)))
        first.create("/app/config/large", b"x" * 200_000)
        first.create("/app/<img src=x onerror=document.title='pwned'>", b"<script>document.title='pwned'</script>")
        create(first, "/secret", b"for me alone", [(31, "digest", digest("me", "pw"))])
        create(first, "/half", b"readable", [(1, "world", "anyone"), (31, "digest", digest("me", "pw"))])
        for number in range(450):
            first.create(f"/many/n{number:04}", b"")
        first.create("/kafka/brokers/1", b"{}", 1)
        self.threads = [threading.Thread(target=self.work, args=(number,), daemon=True) for number in range(6)]
        self.kept = first
        self.threads.append(threading.Thread(target=self.keep, daemon=True))
        for thread in self.threads:
            thread.start()

    def keep(self):
        while not self.stopping:
            try:
                self.kept.get("/kafka")
            except (OSError, ConnectionError, zk.ZkError):
                return
            time.sleep(3)

    def work(self, number):
        client = zk.Client(ZK, timeout_ms=30000)
        path = f"/app/orders/o{number}"
        client.create(path, b"0" * 100)
        client.call(4, zk.text("/app/config/limits") + b"\1")
        turn = 0
        while not self.stopping:
            turn += 1
            try:
                if turn % 4 == 0:
                    client.set(path, b"%0100d" % turn)
                else:
                    client.get(path)
                time.sleep(0.0005 * (1 + number) * (3 if int(time.time()) % 20 < 6 else 1))
            except (OSError, ConnectionError, zk.ZkError):
                return


# ---- the browser ---------------------------------------------------------------------------------

class Browser:
    def __init__(self):
        # Not of the group of this script: what it starts ends with its session.
        self.process = subprocess.Popen(["chromedriver", f"--port={DRIVER}", "--log-level=OFF"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.session = None
        for _ in range(100):
            try:
                self.call("GET", "/status")
                break
            except OSError:
                time.sleep(0.1)
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1440,1100", "--disable-dev-shm-usage",
                     "--disable-background-networking", "--no-first-run"]
        wanted = {"browserName": "chrome", "goog:chromeOptions": {"args": arguments, "binary": "/usr/bin/chromium"}, "goog:loggingPrefs": {"browser": "ALL"}}
        self.session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def call(self, method, path, body=None):
        if self.session:
            path = f"/session/{self.session}{path}"
        data = None if body is None and method != "POST" else json.dumps(body or {}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{DRIVER}{path}", data=data, method=method, headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"]) from None

    def run(self, script, *arguments):
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def text(self, selector):
        return self.run("const e = document.querySelector(arguments[0]); return e && e.innerText", selector) or ""

    def until(self, what, test, seconds=20):
        end = time.time() + seconds
        while time.time() < end:
            value = test()
            if value:
                return value
            time.sleep(0.2)
        raise AssertionError(f"{what}: not within {seconds} s")

    def click(self, selector, at=0):
        self.run("document.querySelectorAll(arguments[0])[arguments[1]].click()", selector, at)

    def fill(self, selector, value):
        self.run("const e = document.querySelector(arguments[0]); e.value = arguments[1]; e.dispatchEvent(new Event('input', {bubbles: true}))", selector, value)

    def submit(self, selector):
        self.run("document.querySelector(arguments[0]).requestSubmit()", selector)

    def devtools(self, command, **parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def picture(self, name, selector=None):
        if selector:
            self.run("document.documentElement.style.scrollBehavior = 'auto'; document.querySelector(arguments[0]).scrollIntoView()", selector)
        time.sleep(0.4)
        with open(os.path.join(PICTURES, name + ".png"), "wb") as file:
            file.write(base64.b64decode(self.call("GET", "/screenshot")))

    def whole(self, name):
        shot = self.devtools("Page.captureScreenshot", captureBeyondViewport=True, format="png")
        with open(os.path.join(PICTURES, name + ".png"), "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def end(self):
        try:
            self.call("DELETE", "")
        except (OSError, RuntimeError):
            pass
        self.process.terminate()
        self.process.wait(10)


def number(text):
    digits = "".join(c for c in text if c.isdigit() or c == ".")
    return float(digits) if digits else 0.0


def check(name, test):
    try:
        print("PASS", name, test() or "", flush=True)
    except (AssertionError, RuntimeError, KeyError, TypeError) as error:
        print("FAIL", name, str(error).replace("\n", " ")[:600], flush=True)


def need(condition, text):
    if not condition:
        raise AssertionError(text)


load = Load()
time.sleep(8)
browser = Browser()
try:
    browser.call("POST", "/url", {"url": BASE})

    def head():
        mode = browser.until("the mode", lambda: browser.text("#mode") == "standalone" and "standalone")
        need(browser.text("#zxid").startswith("0x"), browser.text("#zxid"))
        need(browser.text("#version").startswith("3.9.5"), browser.text("#version"))
        return mode

    def figures():
        rate = browser.until("a rate", lambda: number(browser.text("#t-rate")))
        need(rate > 50, f"{rate} requests/s under load")
        need(number(browser.text("#t-nodes")) > 460, browser.text("#t-nodes"))
        need(number(browser.text("#t-connections")) == 7, browser.text("#t-connections"))
        need(number(browser.text("#t-latency")) >= 0 and browser.text("#t-sync") != "–", "latencies")
        return f"{rate:.0f} requests/s"

    def drawn():
        script = """const out = [];
            for (const canvas of document.querySelectorAll('.chart canvas')) {
              const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
              let colored = 0;
              for (let at = 0; at < pixels.length; at += 4) {
                const [r, g, b, a] = pixels.slice(at, at + 4);
                if (a > 200 && Math.max(r, g, b) - Math.min(r, g, b) > 60) colored++;
              }
              out.push(colored);
            }
            return out;"""
        colored = browser.until("lines in every picture", lambda: (lambda all: all if len(all) == 4 and min(all) > 30 else None)(browser.run(script)))
        return f"{colored} coloured points"

    def connections():
        rows = browser.until("seven rows", lambda: browser.run("return document.querySelectorAll('#connections tbody tr').length") == 7)
        session = hex(load.kept.session)
        browser.fill("#connections-filter", session)
        need(browser.run("return document.querySelectorAll('#connections tbody tr').length") == 1, "the filter leaves one")
        need(session in browser.text("#connections tbody"), "a session id keeps all its digits")
        browser.fill("#connections-filter", "nobody at all")
        need("No connection has that" in browser.text("#connections tbody"), browser.text("#connections tbody"))
        browser.fill("#connections-filter", "")
        browser.click("#connections th[data-key=remote_socket_address]")
        return rows and "7 rows, sorted and filtered"

    def disk():
        shown = browser.text("#disk-body")
        need("free of" in shown and "newest snapshot" in shown, shown)

    def watches():
        shown = browser.until("watches", lambda: "watched paths" in browser.text("#watches-body") and browser.text("#watches-body"))
        need("watches\n6\n" in shown + "\n" or "6" in shown, shown)

    def talkers():
        shown = browser.until("talkers", lambda: browser.text("#talkers-body"))
        if "does not count" in shown:
            return "this server does not count them"
        browser.run("[...document.querySelectorAll('#talkers-of button')].find(b => b.innerText === 'prefixes').click()")
        need("/app" in browser.text("#talkers-body"), browser.text("#talkers-body"))
        browser.click("#talkers-body th[data-key=bytes]")
        need(browser.text("#talkers-body th.sorted").startswith("bytes"), "sorted by bytes")
        return "by prefix and bytes too"

    def open_node(path):
        browser.fill("#path", path)
        browser.submit("#tree-path")
        return browser.until(path, lambda: browser.text("#node .path") == path and browser.text("#node"))

    def tree():
        browser.until("the root", lambda: "/" in browser.text("#branches"))
        browser.until("its children", lambda: browser.run("return [...document.querySelectorAll('.twig')].some(t => t.dataset.path === '/app')"))
        browser.run("[...document.querySelectorAll('.twig')].find(t => t.dataset.path === '/app').click()")
        browser.until("the children of /app", lambda: browser.run("return [...document.querySelectorAll('.twig')].some(t => t.dataset.path === '/app/config')"))
        need("persistent" in browser.text("#node"), browser.text("#node"))
        need('"requests": 1000' in open_node("/app/config/limits") and "grün" in browser.text("#node pre"), browser.text("#node"))
        need("12345678901234567890" in browser.text("#node pre") and '"9": []' in browser.text("#node pre"), "JSON keeps its digits")
        need(browser.text(".twig[aria-selected=true]").endswith("limits"), "the row of an opened path is shown and marked")
        need("00 01 02 03" in open_node("/app/config/key"), browser.text("#node pre"))
        need("the first bytes of" in open_node("/app/config/large"), "large data is cut")
        need("ephemeral" in open_node("/kafka/brokers/1"), browser.text("#node"))
        browser.fill("#path", "/nowhere")
        browser.submit("#tree-path")
        browser.until("no such node", lambda: "no such node" in browser.text("#node"))

    def many():
        browser.run("[...document.querySelectorAll('.twig')].find(t => t.dataset.path === '/many').click()")
        browser.until("250 more", lambda: "250 more" in browser.text("#branches"))
        browser.click("#branches .more")
        browser.until("50 more", lambda: "50 more" in browser.text("#branches"))
        browser.click("#branches .more")
        browser.until("all", lambda: browser.run("return [...document.querySelectorAll('.twig')].filter(t => t.dataset.path.startsWith('/many/')).length") == 450)

    def permissions():
        shown = open_node("/secret")
        need("may not read the node" in shown and "for me alone" not in shown and "digest" not in shown, shown)
        shown = open_node("/half")
        need("readable" in shown and "digest:me:x" in shown, shown)
        browser.fill("#identity-auth", "me:wrong")
        browser.submit("#identity")
        need("may not read the node" in open_node("/secret"), "a wrong password")
        browser.fill("#identity-auth", "me:pw")
        browser.submit("#identity")
        browser.until("the identity", lambda: browser.text("#identity-shown") == "digest:me")
        # The node is open already: its text changes once it is read again.
        open_node("/secret")
        browser.until("what is mine", lambda: "for me alone" in browser.text("#node"))
        need(digest("me", "pw") in open_node("/half"), "an administrator sees the list")
        browser.fill("#identity-auth", "")
        browser.submit("#identity")
        browser.until("anyone", lambda: browser.text("#identity-shown") == "anyone")
        open_node("/secret")
        browser.until("and anyone again does not", lambda: "may not read the node" in browser.text("#node"))

    def hostile_names():
        open_node("/app/<img src=x onerror=document.title='pwned'>")
        time.sleep(0.5)
        need("pwned" not in browser.run("return document.title"), "a name was run")
        need(browser.run("return document.querySelectorAll('#tree img, #tree script').length") == 0, "a name became an element")

    def own_origin():
        loaded = browser.run("return performance.getEntriesByType('resource').map(entry => entry.name)")
        strangers = [name for name in loaded if not name.startswith(BASE) and not name.startswith("data:")]
        need(not strangers and len(loaded) > 5, f"loaded {strangers} of {len(loaded)}")
        expected = ["status of 404", "status of 401"]
        said = [entry["message"] for entry in browser.call("POST", "/se/log", {"type": "browser"}) if entry["level"] == "SEVERE"]
        need(all(any(one in message for one in expected) for message in said), str(said))

    check("head", head)
    check("figures", figures)
    check("pictures", drawn)
    check("connections", connections)
    check("disk", disk)
    check("watches", watches)
    check("talkers", talkers)
    browser.picture("load-light")
    middle = browser.run("const r = document.querySelector('#c-rate').getBoundingClientRect(); return [r.right - 40, r.top + 90].map(Math.round)")
    browser.devtools("Input.dispatchMouseEvent", type="mouseMoved", x=middle[0], y=middle[1])
    check("reading", lambda: browser.until("the reading under the pointer", lambda: "requests" in browser.text("#c-rate .tip") and browser.text("#c-rate .tip")))
    browser.picture("reading-light")
    check("tree", tree)
    check("many-children", many)
    check("permissions", permissions)
    check("hostile-names", hostile_names)
    open_node("/app/config/limits")
    browser.picture("tree-light", "#tree")
    check("own-origin", own_origin)
    browser.picture("middle-light", "#ensemble")
    browser.run("scrollTo(0, 0)")
    browser.whole("whole-light")
    browser.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    browser.run("scrollTo(0, 0)")
    time.sleep(2.5)
    browser.whole("whole-dark")
    browser.devtools("Emulation.setDeviceMetricsOverride", width=420, height=900, deviceScaleFactor=2, mobile=True)
    time.sleep(1)
    browser.picture("phone-dark")
    browser.picture("phone-tree-dark", "#tree")

    def no_answer():
        load.stopping = True
        os.kill(SERVER_PID, signal.SIGTERM)
        browser.until("the trouble", lambda: "does not answer" in browser.text("#trouble"))
        need(browser.text("#mode") == "no answer", browser.text("#mode"))
    check("no-answer", no_answer)
finally:
    browser.end()
