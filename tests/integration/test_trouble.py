# build: release
# alone: yes
# timeout: 200
"""What befalls the process itself: leaping clocks, no memory in libuv, a damaged database, the end under stalled clients, the
same delivery many times at once, more load than it can take."""

import email.utils
import http.client
import os
import pathlib
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

from support.attiod import (SECRET, Attiod, Process, Sim, connect as open_database, differences, envelope, event, post_all,
                            request, signed, until, wire)
from support.clients import Pulse, config, connect, memory, metric, read_to_end, statuses

SOURCE = pathlib.Path(os.environ["ATTIOD_SOURCE_DIR"])
QUIET = {"ATTIO_ENABLED": "false"}
WORKSPACE = "14beef7a-99f7-4534-a87e-70b564330a4c"
OBJECT = "97052eb9-e65e-443f-a297-f2d9a4a7f795"
RECORD = "bf071e1f-6035-429d-b874-d83ea64ea13b"
DONE = 3
MIB = 1 << 20


def load(name, count, workspace=WORKSPACE, objects=OBJECT, records=(RECORD,)):
    return [(f"{name}-{i}", wire(envelope(event("record.updated", workspace, objects, records[i % len(records)])), f"{name}-{i}"))
            for i in range(count)]


def stored(db, where="1"):
    """{key: how often}"""
    with open_database(db) as c:
        rows = c.execute(f"SELECT dedupe, count(*) FROM attiod_inbox WHERE dedupe IS NOT NULL AND {where} GROUP BY dedupe")
        return {k.decode() if isinstance(k, bytes) else k: n for k, n in rows}


class Shim:
    """tests/support/shim.c, made now, and what it is told."""

    def __init__(self, folder):
        self.path = pathlib.Path(folder) / "shim"
        self.library = pathlib.Path(folder) / "shim.so"
        self.say()
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", self.library, SOURCE / "tests/support/shim.c"], check=True)
        self.environment = {"LD_PRELOAD": str(self.library), "ATTIOD_SHIM": str(self.path)}

    def say(self, leap_s=0, no_memory_for_libuv=False):
        with open(self.path, "r+b" if self.path.exists() else "wb") as f:
            f.write(struct.pack("qq", leap_s, no_memory_for_libuv))


class Trouble(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def serve(self, environment=None, sim=None, arguments=(), name="a"):
        directory = pathlib.Path(self.folder.name) / name
        directory.mkdir(exist_ok=True)
        a = Attiod(sim, directory, {**({} if sim else QUIET), **(environment or {})}, arguments=arguments)
        self.addCleanup(lambda: a.child.poll() is None and a.kill())
        return a

    def test_the_clock_leaps_past_2038_and_back(self):
        shim, sim = Shim(self.folder.name), Sim(people=20, companies=5, deals=5)
        self.addCleanup(sim.stop)
        a = self.serve(shim.environment, sim)
        a.until_idle()
        workspace, (people, records) = sim.workspace_id(), sim.state("people")
        deliveries = lambda name: load(name, 40, workspace, people, sorted(records))
        sent = []
        for name, leap in (("now", 0), ("2046", 20 * 365 * 86400), ("before", -3 * 86400), ("hour", 3600), ("back", 0)):
            shim.say(leap)
            sim.control("POST", "/edit", {"count": 10, "objects": ["people"], "kinds": ["edit"]})
            answers = post_all(a.port, deliveries(name), connections=8)
            self.assertEqual([s for _, s in answers], [200] * 40, name)
            sent += [key for key, _ in answers]
            again = post_all(a.port, deliveries(name), connections=8)
            self.assertEqual([s for _, s in again], [200] * 40, name)
            until(lambda: a.status()["pending_events"] == 0, f"handled, {name}", 30, 0.05)
            self.assertAlmostEqual(self.date(a), time.time() + leap, delta=3)
            until(lambda: differences(sim, a.db) == [], f"mirror equals workspace, {name}", 30, 0.1)
        times = stored(a.db)
        self.assertEqual({k: n for k, n in times.items() if n != 1}, {})
        self.assertEqual([k for k in sent if k not in times], [])
        self.assertLess(time.clock_gettime((~a.child.pid << 3) | 2), 5, "no timer ran wild")
        began = time.monotonic()
        self.assertEqual(a.stop(), 0)
        self.assertLess(time.monotonic() - began, 10)

    @staticmethod
    def date(a):
        c = http.client.HTTPConnection("127.0.0.1", a.port)
        c.request("GET", "/healthz")
        answer = c.getresponse()
        answer.read()
        c.close()
        return email.utils.parsedate_to_datetime(answer.getheader("Date")).timestamp()

    def test_no_memory_in_libuv_is_a_clean_restart_with_nothing_lost(self):
        shim = Shim(self.folder.name)
        acknowledged = []
        for n in range(3):
            a = self.serve(shim.environment)
            acknowledged += [k for k, s in post_all(a.port, load(f"before-{n}", 300), connections=8) if s == 200]
            shim.say(no_memory_for_libuv=True)
            crowd = []
            try:  # with more descriptors than ever before it needs a larger table, and finds no memory for it
                while a.child.poll() is None and len(crowd) < 3000:
                    crowd.append(connect(a.port))
                    if len(crowd) % 20 == 0:
                        acknowledged += [k for k, s in post_all(a.port, load(f"in-{n}-{len(crowd)}", 8), connections=2) if s == 200]
            except OSError:
                pass
            until(lambda: a.child.poll() is not None, "it gave up")
            self.assertEqual(a.child.returncode, -signal.SIGABRT, a.log_path)
            for s in crowd:
                s.close()
            shim.say()
        a = self.serve(shim.environment)
        self.assertGreaterEqual(len(acknowledged), 900)
        times = stored(a.db)
        self.assertEqual([k for k in acknowledged if times.get(k) != 1], [])
        with open_database(a.db) as c:
            self.assertEqual(c.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        self.assertEqual(a.stop(), 0)

    def test_a_damaged_database_is_refused_and_left_as_it_is(self):
        a = self.serve()
        self.assertEqual({s for _, s in post_all(a.port, load("x", 2000))}, {200})
        self.assertEqual(a.stop(), 0)
        whole = a.db.read_bytes()
        damages = {
            "the header": whole[:10] + b"\xff" * 90 + whole[100:],
            "in the middle": whole[:8192] + os.urandom(4096 * 8) + whole[8192 + 4096 * 8:],
            "the end is missing": whole[:len(whole) // 2],
            "all zeros": b"\0" * len(whole),
        }
        for name, damaged in damages.items():
            with self.subTest(name):
                a.db.write_bytes(damaged)
                p = Process("attiod", ["serve", "--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0"],
                            {**QUIET, "ATTIO_API_KEY": "k" * 20, "ATTIO_WEBHOOK_SECRET": SECRET, "DATABASE_URL": f"sqlite:{a.db}"})
                self.assertEqual(p.child.wait(30), 6)
                said = p.log_path.read_text()
                self.assertIn("attiod.db", said)
                self.assertNotIn('"listening"', said)
                self.assertEqual(a.db.read_bytes(), damaged)

    def test_a_database_damaged_while_it_runs_is_never_acknowledged_into(self):
        a = self.serve()
        self.assertEqual({s for _, s in post_all(a.port, load("x", 20000), connections=64)}, {200})  # more than is kept in memory
        with open(a.db, "r+b") as f:
            f.seek(4096)
            f.write(os.urandom(os.path.getsize(a.db) - 4096))
        among = [f"x-{n}-{os.urandom(4).hex()}" for n in range(0, 20000, 7)]  # all over the index
        until(lambda: {s for _, s in post_all(a.port, [d for _ in range(16) for d in load(among.pop(), 1)])} == {503}, "refused")
        self.assertEqual({s for _, s in post_all(a.port, load("y", 200))}, {503})
        self.assertEqual(request(a.port, "GET", "/healthz")[0], 200)
        self.assertEqual(request(a.port, "GET", "/readyz")[0], 503)
        a.child.send_signal(signal.SIGTERM)
        self.assertIsNotNone(a.child.wait(15))

    def test_it_ends_within_10_s_though_hundreds_stall_and_attio_is_silent(self):
        sim = Sim(people=200, companies=20, deals=10)
        self.addCleanup(sim.stop)
        a = self.serve(None, sim)
        a.until_idle()
        sim.faults(route="/v2/objects", kind="silence")
        self.assertEqual(request(a.internal, "POST", "/api/v1/sync/people", {})[0] // 100, 2)
        head = b"POST /webhooks/attio HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        kinds = [(a.port, head), (a.port, head + b"Content-Length: 100\r\n\r\n{"), (a.port, b""),
                 (a.port, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"),
                 (a.internal, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1400)]
        crowd = [(connect(port, 2048), first) for _ in range(100) for port, first in kinds]
        self.addCleanup(lambda: [s.close() for s, _ in crowd])
        for s, first in crowd:
            s.sendall(first)
        until(lambda: metric(a.internal, "attiod_http_connections") >= 500, "all there")
        began = time.monotonic()
        self.assertEqual(a.stop(), 0)
        took = time.monotonic() - began
        print(f"{took:.1f} s")
        self.assertLess(took, 10)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as every server does: connections that ended linger
            s.bind(("127.0.0.1", a.port))

    def test_the_same_delivery_many_times_at_once_is_one(self):
        a = self.serve()
        same = load("same", 20) * 50  # each connection gets all of them in turn
        answers = post_all(a.port, same, connections=50, ahead=4)
        self.assertEqual([s for _, s in answers], [200] * len(same))
        self.assertEqual(stored(a.db), {f"same-{i}": 1 for i in range(20)})
        self.assertEqual(metric(a.internal, "attiod_events_accepted_total"), 20)
        # Without a key they are told apart by nothing, and all are kept.
        raw = same[0][1].replace(b"Idempotency-Key: same-0\r\n", b"")
        self.assertEqual([s for _, s in post_all(a.port, [("-", raw)] * 50, connections=10)], [200] * 50)
        self.assertEqual(metric(a.internal, "attiod_events_accepted_total"), 70)
        self.assertEqual(a.stop(), 0)

    def test_at_twice_the_load_it_does_as_much_and_health_is_answered(self):
        a = self.serve(arguments=config(self.folder.name, {"inbox": {"maxPending": 10000000}}))
        rates = {1: [], 2: []}
        self.rate(a, 1)
        with Pulse(a.port) as public, Pulse(a.internal, "/health") as internal:
            for _ in range(4):  # in turn: the machine has moods
                for times in (1, 2):
                    rates[times].append(self.rate(a, times))
        peak, twice = sorted(rates[1])[-2], sorted(rates[2])[-2]
        print(f"{peak:.0f} a second, {twice:.0f} at twice the load; public {public}; internal {internal}")
        self.assertGreaterEqual(twice, 0.9 * peak)
        for pulse in (public, internal):
            self.assertEqual(pulse.statuses, {200})
            self.assertLess(pulse.p99(), 0.25)
        self.assertEqual(a.stop(), 0)

    @staticmethod
    def rate(a, times, seconds=1.0):
        """Deliveries acknowledged a second, with so many times as many waiting for their answer as keep it busy."""
        one = wire(envelope(event("record.updated", WORKSPACE, OBJECT, RECORD)), "-").replace(b"Idempotency-Key: -\r\n", b"")
        socks = [connect(a.port) for _ in range(64 * times)]
        counts = [0]
        lock = threading.Lock()
        end = time.monotonic() + seconds

        def drive(mine):
            n = 0
            for s in mine:
                s.sendall(one * 8)
            while time.monotonic() < end:
                for s in mine:
                    got = s.recv(65536)
                    k = got.count(b"HTTP/1.1 200")
                    assert k == got.count(b"HTTP/1.1 "), got
                    n += k
                    if k:
                        s.sendall(one * k)
            with lock:
                counts[0] += n
        began = time.monotonic()
        threads = [threading.Thread(target=drive, args=(socks[i::2],)) for i in range(2)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        took = time.monotonic() - began
        for s in socks:
            s.close()
        return counts[0] / took

    def test_past_its_limits_it_refuses_with_a_time_to_come_back(self):
        a = self.serve(arguments=config(self.folder.name, {"inbox": {"maxPending": 500}, "server": {"connectionsMax": 50}}))
        post_all(a.port, load("x", 700), connections=20)
        refused = self.bare(a.port, load("y", 1)[0][1])
        self.assertTrue(refused.startswith(b"HTTP/1.1 503 "), refused)
        self.assertIn(b"\r\nRetry-After: ", refused)
        self.assertLessEqual(len(stored(a.db)), 700)
        held = [connect(a.port) for _ in range(50)]
        until(lambda: metric(a.internal, "attiod_http_connections") >= 50, "all there")
        refused = self.bare(a.port, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(refused.startswith(b"HTTP/1.1 503 "), refused)
        self.assertIn(b"\r\nRetry-After: ", refused)
        self.assertEqual(request(a.internal, "GET", "/healthz")[0], 200)
        for s in held:
            s.close()
        until(lambda: request(a.port, "GET", "/healthz")[0] == 200, "room again")
        self.assertEqual(a.stop(), 0)

    @staticmethod
    def bare(port, raw):
        with connect(port) as s:
            try:
                s.sendall(raw)
            except OSError:
                pass
            s.settimeout(5)
            return s.recv(4096)
