"""Real processes for process-level tests: attio-sim, attiod, deliveries as Attio signs them, and the mirror.

Nothing here waits by sleeping: `until` polls a condition with a deadline and fails by name.
"""

import hashlib
import hmac
import http.client
import json
import os
import pathlib
import random
import select
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
import urllib.parse
import uuid

BUILD = pathlib.Path(os.environ.get("ATTIOD_BUILD_DIR", "build/debug"))
LOGS = pathlib.Path(os.environ.get("ATTIOD_TEST_LOGS", tempfile.gettempdir()))
API_KEY = "sim-key-0123456789abcdef"
SECRET = "test-secret-" + "5e" * 24
SANITIZED = BUILD.name == "debug"


def until(condition, what, seconds=30.0, pause=0.01):
    """The first true value of condition(), which is asked until then."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        select.select([], [], [], pause)


def free_port():
    """Below the range that outgoing connections take theirs from, so that none has it before its listener does."""
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def request(port, method, path, body=None, headers=None, timeout=30, tls=None):
    """(status, decoded JSON or bytes)"""
    c = (http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout, context=tls) if tls
         else http.client.HTTPConnection("127.0.0.1", port, timeout=timeout))
    try:
        data = None
        headers = dict(headers or {})
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        c.request(method, path, data, headers)
        answer = c.getresponse()
        raw = answer.read()
        if "json" in (answer.getheader("Content-Type") or ""):
            return answer.status, json.loads(raw)
        return answer.status, raw
    finally:
        c.close()


class Process:
    """A program of ours whose log tells where it listens."""

    count = 0
    under = ()  # a program that runs ours, and its arguments

    def __init__(self, name, arguments, environment=None, preexec=None):
        Process.count += 1
        self.log_path = LOGS / f"{name}-{os.getpid()}-{Process.count}.log"
        self.log = open(self.log_path, "wb")
        base = {k: v for k, v in os.environ.items() if not k.startswith(("ATTIO", "DATABASE_URL", "PORT"))}
        self.child = subprocess.Popen([*self.under, str(BUILD / name), *arguments], stdin=subprocess.DEVNULL, stdout=self.log,
                                      stderr=subprocess.STDOUT,
                                      env={k: v for k, v in {**base, **(environment or {})}.items() if v is not None},
                                      preexec_fn=preexec)

    def lines(self):
        for line in self.log_path.read_bytes().splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue

    def listening(self, name, seconds=30.0):
        def find():
            if self.child.poll() is not None:
                raise AssertionError(f"{self.log_path.name}: ended with {self.child.returncode}: "
                                     f"{self.log_path.read_text(errors='replace')[-2000:]}")
            for line in self.lines():
                if line.get("event") == "listening" and line.get("name") == name:
                    return int(line["address"].rsplit(":", 1)[1])
            return None
        return until(find, f"{self.log_path.name} listening on {name}", seconds)

    def kill(self):
        self.child.kill()
        self.child.wait()

    def stop(self, seconds=15):
        """SIGTERM; the exit code."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"{self.log_path.name}: no end within {seconds} s of SIGTERM") from None
        self.log.close()
        return self.child.returncode


class Sim(Process):
    def __init__(self, people=50, companies=20, deals=10, seed=1, extra=(), tls=None):
        self.tls = tls
        super().__init__("attio-sim", ["--listen", "127.0.0.1:0", "--api-key", API_KEY, "--people", str(people),
                                       "--companies", str(companies), "--deals", str(deals), "--seed", str(seed), *extra])
        self.port = self.listening("attio-sim")
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def control(self, method, path, body=None):
        status, answer = request(self.port, method, "/_sim" + path, body, tls=self.tls)
        if status != 200:
            raise AssertionError(f"{method} /_sim{path}: {status} {answer}")
        return answer

    def state(self, object_slug):
        """{record_id: values} and the object's id."""
        answer = self.control("GET", f"/state?object={object_slug}")
        answer = answer.get("data", answer)
        return answer["object_id"], {r["record_id"]: r for r in answer["records"]}

    def requests(self):
        answer = self.control("GET", "/requests")
        return answer.get("data", answer)

    def faults(self, **fault):
        return self.control("POST", "/faults", fault)

    def workspace_id(self):
        status, answer = request(self.port, "GET", "/v2/self", headers={"Authorization": "Bearer " + API_KEY},
                                 tls=self.tls)
        assert status == 200, answer
        return answer["workspace_id"]


class Attiod(Process):
    def __init__(self, sim, directory, environment=None, public_port=None, arguments=(), tls=None, preexec=None):
        self.tls = tls
        self.directory = pathlib.Path(directory)
        self.db = self.directory / "attiod.db"
        settings = {
            "ATTIO_API_KEY": API_KEY,
            "ATTIO_WEBHOOK_SECRET": SECRET,
            "ATTIO_BASE_URL": sim.url if sim else "http://127.0.0.1:9",
            "ATTIO_ENV": "production",
            "DATABASE_URL": f"sqlite:{self.db}",
            "ATTIOD_LISTEN": f"127.0.0.1:{public_port or 0}",
            "ATTIOD_INTERNAL_LISTEN": "127.0.0.1:0",
            **(environment or {}),
        }
        super().__init__("attiod", ["serve", *arguments], settings, preexec)
        try:
            self.port = self.listening("public")
            self.internal = self.listening("internal")
        except BaseException:
            self.kill()  # nobody has it, so nobody else would
            raise

    def status(self):
        code, answer = request(self.internal, "GET", "/api/v1/status", tls=self.tls)
        if code != 200:
            raise AssertionError(f"status: {code} {answer}")
        return answer["data"]

    def idle(self):
        s = self.status()
        return (s["bringup"] is None and s["active_syncs"] == 0 and s["pending_events"] == 0
                and s["dispatch"]["held"] == 0) and s

    def until_idle(self, seconds=60):
        try:
            return until(self.idle, f"idle: {self.log_path.name}", seconds, 0.05)
        except AssertionError as e:
            raise AssertionError(f"{e}; its status: {json.dumps(self.status())}") from None

    def deliver(self, body, key=None, secret=SECRET, headers=None):
        raw = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
        return request(self.port, "POST", "/webhooks/attio", raw,
                       {**signed(raw, secret), "Idempotency-Key": key or str(uuid.uuid4()), **(headers or {})})


def signed(raw, secret=SECRET):
    signature = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "Attio-Signature": signature, "X-Attio-Signature": signature}


def event(kind, workspace_id, object_id, record_id, **more):
    identity = {"workspace_id": workspace_id, "object_id": object_id, "record_id": record_id}
    if kind == "record.updated":
        identity["attribute_id"] = str(uuid.uuid4())
    return {"event_type": kind, "id": identity, "actor": {"type": "system", "id": None}, **more}


def envelope(*events):
    return {"webhook_id": "23e42eaf-323a-41da-b5bb-fd67eebda553", "events": list(events)}


def wire(body, key, secret=SECRET):
    """The bytes of one delivery on the wire."""
    raw = json.dumps(body, separators=(",", ":")).encode()
    head = {"Host": "127.0.0.1", **signed(raw, secret), "Idempotency-Key": key, "Content-Length": str(len(raw))}
    lines = "".join(f"{k}: {v}\r\n" for k, v in head.items())
    return f"POST /webhooks/attio HTTP/1.1\r\n{lines}\r\n".encode() + raw


class Stream:
    """One keep-alive connection that takes deliveries as fast as they are answered, a few ahead of the answers (pipelined)."""

    def __init__(self, port, deliveries, ahead=8):
        self.todo = list(reversed(deliveries))  # (key, bytes)
        self.waiting = []
        self.ahead = ahead
        self.answers = []  # (key, status)
        self.out = b""
        self.inp = b""
        self.known = set()  # keys of deliveries of one event that were here before
        self.broken = False
        self.sock = socket.create_connection(("127.0.0.1", port), 10)
        self.sock.setblocking(False)

    def done(self):
        return self.broken or (not self.todo and not self.waiting)

    def fileno(self):
        return self.sock.fileno()

    def wants_write(self):
        return bool(self.out) or (bool(self.todo) and len(self.waiting) < self.ahead)

    def write(self):
        while self.todo and len(self.waiting) < self.ahead:
            key, raw = self.todo.pop()
            self.waiting.append(key)
            self.out += raw
        try:
            self.out = self.out[self.sock.send(self.out):] if self.out else b""
        except BlockingIOError:
            pass
        except OSError:
            self.broken = True

    def read(self):
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.broken = True
            return
        self.inp += data
        while (end := self.inp.find(b"\r\n\r\n")) >= 0:
            head = self.inp[:end].decode("latin-1")
            length = next((int(h.split(":")[1]) for h in head.split("\r\n") if h.lower().startswith("content-length")), 0)
            if len(self.inp) < end + 4 + length:
                return
            if b'"accepted":0,"duplicate":1' in self.inp[end + 4:end + 4 + length]:
                self.known.add(self.waiting[0])
            self.inp = self.inp[end + 4 + length:]
            self.answers.append((self.waiting.pop(0), int(head.split(" ", 2)[1])))


def post_all(port, deliveries, connections=64, ahead=8, stop=None, seconds=120, watch=None, known=None):
    """Posts (key, bytes) pairs over many connections at once; [(key, status)] of those answered. `stop` is asked every turn,
    and `watch` given the streams. `known`, a set, gets the keys of deliveries of one event that were here before."""
    streams = []
    for i in range(connections):
        share = deliveries[i::connections]
        if share:
            try:
                streams.append(Stream(port, share, ahead))
            except OSError:
                break
    end = time.monotonic() + seconds
    while time.monotonic() < end and not (stop and stop()):
        live = [s for s in streams if not s.done()]
        if not live:
            break
        readable, writable, _ = select.select(live, [s for s in live if s.wants_write()], [], 0.05)
        for s in writable:
            s.write()
        for s in readable:
            s.read()
        if watch:
            watch(streams)
    answers = [a for s in streams for a in s.answers]
    for s in streams:
        s.sock.close()
        if known is not None:
            known |= s.known
    return answers


# ---- the database, read beside the running server ----------------------------------------------------------------------


def connect(db):
    return sqlite3.connect(f"file:{urllib.parse.quote(str(db))}?mode=ro", uri=True, timeout=10)


# Where the mirror keeps what /_sim/state calls by that name, and the key of its rows. Others are objects.
KINDS = {"notes": "note_id", "tasks": "task_id", "comments": "comment_id", "workspace_members": "workspace_member_id"}


def mirror(db, name):
    """{id: what Attio said} of the live rows of an object, "list:<slug>", or one of KINDS."""
    is_list = name.startswith("list:")
    view = "list_" + name[5:] if is_list else name
    key = "entry_id" if is_list else KINDS.get(name, "record_id")
    with connect(db) as c:
        rows = c.execute(f'SELECT {key}, _raw FROM "{view}_live"').fetchall()
    return {row_id: json.loads(raw) for row_id, raw in rows}


def values_of(name, item):
    """What has to be equal on both sides; a record of the state has only its values."""
    if name in KINDS:
        return item
    return item.get("entry_values", item.get("values"))


def differences(sim, db, names=("people", "companies", "deals")):
    """What is not equal between the workspace and the mirror: [] when all is."""
    wrong = []
    for name in names:
        key = "entry_id" if name.startswith("list:") else KINDS.get(name, "record_id")
        there = {r.get(key) or r["id"][key]: r for r in sim.control("GET", f"/state?object={name}")["records"]}
        try:
            here = mirror(db, name)
        except sqlite3.OperationalError as e:
            return [f"{name}: {e}"]
        wrong += [f"{name} {i}: missing" for i in there.keys() - here.keys()]
        wrong += [f"{name} {i}: not deleted" for i in here.keys() - there.keys()]
        wrong += [f"{name} {i}: differs" for i in there.keys() & here.keys()
                  if values_of(name, here[i]) != values_of(name, there[i])]
    return wrong
