# timeout: 600
"""What is acknowledged is durable and handled, whatever the database or Attio does meanwhile."""

import concurrent.futures
import http.client
import os
import pathlib
import socket
import sqlite3
import subprocess
import tempfile
import time
import unittest

from support.attiod import (Attiod, Sim, connect, differences, envelope, event, post_all, request, until, wire)


def ask(port, delivery):
    """(status, Retry-After, seconds) of one delivery on its own connection."""
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        s.sendall(delivery[1])
        answer = http.client.HTTPResponse(s)
        answer.begin()
        return answer.status, answer.getheader("Retry-After"), time.monotonic() - begun


class Faults(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.sim = Sim(people=60, companies=20, deals=10)
        self.addCleanup(self.sim.stop)
        self.workspace = self.sim.workspace_id()
        self.people, records = self.sim.state("people")
        self.ids = sorted(records)

    def start(self, directory=None, environment=None):
        server = Attiod(self.sim, directory or self.directory.name, environment)
        self.addCleanup(server.stop)
        server.until_idle(60)
        return server

    def load(self, name, count):
        out = []
        for i in range(count):
            key = f"{name}-{i}"
            out.append((key, wire(envelope(event("record.updated", self.workspace, self.people, self.ids[i % len(self.ids)])), key)))
        return out

    def check(self, server, answers):
        """Every 200 is in the inbox exactly once and done; the mirror is right."""
        until(lambda: server.status()["pending_events"] == 0, "all handled", 120, 0.05)
        with connect(server.db) as c:
            rows = {k.decode() if isinstance(k, bytes) else k: (n, state) for k, n, state in c.execute(
                "SELECT dedupe, count(*), max(state) FROM attiod_inbox WHERE dedupe IS NOT NULL GROUP BY dedupe")}
        for key, status in answers:
            if status == 200:
                self.assertEqual(rows.get(key), (1, 3), key)
        until(lambda: differences(self.sim, server.db) == [], "mirror equals workspace", 60, 0.1)

    def edit(self):
        self.sim.control("POST", "/edit", {"count": 30, "objects": ["people"], "kinds": ["edit"]})

    def test_locked_database_is_503_within_bounds_and_heals(self):
        server = self.start()
        self.edit()
        lock = sqlite3.connect(server.db, isolation_level=None, timeout=10)
        lock.execute("BEGIN IMMEDIATE")
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda delivery: ask(server.port, delivery), self.load("locked", 40)))
        for status, later, seconds in answers:
            self.assertEqual(status, 503)
            self.assertGreaterEqual(int(later), 1)
            self.assertTrue(2.5 < seconds < 4, seconds)
        self.assertEqual(request(server.port, "GET", "/healthz")[0], 200)
        lock.execute("ROLLBACK")
        lock.close()
        until(lambda: request(server.port, "GET", "/readyz")[0] == 200 and
              post_all(server.port, self.load("after", 1))[0][1] == 200, "acknowledged again", 5)
        self.check(server, post_all(server.port, self.load("healed", 200)))

    @unittest.skipUnless(os.geteuid() == 0, "mounting a small tmpfs needs root")
    def test_full_disk_is_503_and_heals_when_there_is_room(self):
        mount = pathlib.Path(self.directory.name) / "small"
        mount.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", mount], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", mount], check=False)
        server = self.start(mount)
        ballast = mount / "ballast"
        with open(ballast, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"\0" * 4096)
            except OSError:
                pass
        self.edit()
        load = self.load("full", 3000)
        answers = post_all(server.port, load, connections=20, ahead=1, seconds=20)
        self.assertIn(503, {s for _, s in answers})
        self.assertLessEqual({s for _, s in answers}, {200, 503})
        self.assertEqual(request(server.port, "GET", "/healthz")[0], 200)
        ballast.unlink()
        until(lambda: post_all(server.port, self.load("room", 1))[0][1] == 200, "acknowledged again", 5)
        refused = {key for key, status in answers if status != 200}
        again = post_all(server.port, [d for d in load if d[0] in refused])  # as Attio does
        self.assertEqual({s for _, s in again}, {200})
        self.check(server, [a for a in answers if a[1] == 200] + again)
        server.stop()

    def fault_of_attio(self, name, **fault):
        server = self.start()
        self.edit()
        self.sim.faults(route="/v2/objects", **fault)
        answers = post_all(server.port, self.load(name, 300), connections=16, ahead=4)
        self.assertEqual({s for _, s in answers}, {200}, "receipt does not depend on Attio")
        until(lambda: self.sim.requests()["total"] > 0, "Attio was asked")
        self.assertGreater(server.status()["pending_events"], 0)
        self.sim.faults(clear=True)
        self.check(server, answers)

    def test_attio_answering_500(self):
        self.fault_of_attio("s500", kind="status", status=500)

    def test_attio_answering_429(self):
        """Waits as long as it is told, tries by one call then, and takes deliveries all along."""
        server = self.start()
        self.edit()
        until(lambda: server.status()["attio"]["window_percent"] == 0, "a quiet second first", 10)
        self.sim.control("POST", "/requests", {"cap": 15, "interval_ms": 1000, "concurrency": 10})
        self.sim.faults(route="/v2/objects", kind="status", status=429)
        begun = time.monotonic()
        answers = post_all(server.port, self.load("s429", 300), connections=16, ahead=4)
        self.assertEqual({s for _, s in answers}, {200}, "receipt does not depend on Attio")
        until(lambda: self.sim.requests()["total"] >= 4, "asked again and again", 60)
        trace, seconds = self.sim.requests(), time.monotonic() - begun
        print(f"{trace['total']} calls in {seconds:.1f} s")
        self.assertEqual(trace["most_in_flight"], 1)
        self.assertLessEqual(trace["total"], 2 + seconds, "each says to wait for the next second")
        self.assertGreater(server.status()["pending_events"], 0)
        self.sim.faults(clear=True)
        self.check(server, answers)

    def test_attio_answering_garbage(self):
        self.fault_of_attio("garbage", kind="garbage")

    def test_attio_sending_half_a_body(self):
        self.fault_of_attio("half", kind="half_body")

    def test_attio_sending_nothing(self):
        self.fault_of_attio("silence", kind="silence")

    def test_attio_resetting_connections(self):
        self.fault_of_attio("reset", kind="reset", at=100)
