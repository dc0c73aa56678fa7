# build: release
# alone: yes
# timeout: 3000
"""kill -9 at random moments: every delivery answered 200 is in the inbox exactly once, all are handled, the mirror is right."""

import os
import random
import tempfile
import time
import unittest

from support.attiod import (Attiod, Sim, connect, differences, envelope, event, free_port, post_all, request, until, wire)

ROUNDS = int(os.environ.get("ATTIOD_KILL_ROUNDS", "50"))
SEED = int(os.environ.get("ATTIOD_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)


class Kill(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.sim = Sim(people=200, companies=40, deals=20, extra=("--rate-per-url", "1000"))
        self.addCleanup(self.sim.stop)
        self.sim.control("POST", "/clock", {"factor": 100})
        self.random = random.Random(SEED)
        self.port = free_port()
        print(f"seed {SEED}, {ROUNDS} rounds (ATTIOD_SEED, ATTIOD_KILL_ROUNDS)")

    def start(self):
        return Attiod(self.sim, self.directory.name, {"ATTIOD_PUBLIC_URL": f"http://127.0.0.1:{self.port}"},
                      public_port=self.port)

    def deliveries(self, round_number, count):
        for i in range(count):
            slug = self.random.choice(list(self.objects))
            object_id, ids = self.objects[slug]
            kind = self.random.choice(("record.updated", "record.updated", "record.created"))
            key = f"kill-{round_number}-{i}-{self.random.getrandbits(64):x}"
            yield key, wire(envelope(event(kind, self.workspace, object_id, self.random.choice(ids))), key)

    def test_nothing_acknowledged_is_lost(self):
        self.workspace = self.sim.workspace_id()
        self.objects = {}
        for slug in ("people", "companies", "deals"):
            object_id, records = self.sim.state(slug)
            self.objects[slug] = (object_id, sorted(records))
        acked, slowest = [], 0
        server = self.start()
        server.until_idle(60)
        for n in range(ROUNDS):
            load = list(self.deliveries(n, 20000))
            moment = time.monotonic() + self.random.uniform(0.005, 0.25)
            # few deletions: events about a record that is gone cost a read each, and the load here is random
            kinds = ["delete"] if n % 25 == 24 else ["edit", "insert"]
            self.sim.control("POST", "/edit", {"count": 2, "kinds": kinds})
            answers = post_all(self.port, load, connections=64, ahead=8,
                               stop=lambda: time.monotonic() >= moment)
            server.kill()
            acked += [key for key, status in answers if status == 200]
            self.assertEqual([s for _, s in answers if s not in (200, 503)], [])
            begun = time.monotonic()
            server = self.start()
            until(lambda: request(server.port, "GET", "/readyz")[0] == 200, "ready again", 5, 0.002)
            slowest = max(slowest, time.monotonic() - begun)
        server.until_idle(300)
        print(f"{len(acked)} deliveries acknowledged over {ROUNDS} kills, ready again after {slowest:.2f} s at most")
        self.assertLess(slowest, 5)
        self.assertGreaterEqual(len(acked), min(10000, ROUNDS * 200))
        with connect(server.db) as c:
            self.assertEqual(c.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            rows = dict(c.execute("SELECT dedupe, count(*) FROM attiod_inbox WHERE dedupe LIKE 'kill-%' GROUP BY dedupe"))
            states = dict(c.execute("SELECT state, count(*) FROM attiod_inbox GROUP BY state"))
        rows = {k.decode() if isinstance(k, bytes) else k: n for k, n in rows.items()}
        self.assertEqual([k for k in acked if rows.get(k) != 1], [], "acknowledged, but not exactly once in the inbox")
        self.assertEqual([k for k, n in rows.items() if n != 1], [])
        self.assertEqual(set(states), {3}, "states other than done")
        until(lambda: differences(self.sim, server.db) == [], "mirror equals workspace", 120, 0.5)
        status, _ = request(server.port, "GET", "/healthz")
        self.assertEqual(status, 200)
        self.assertEqual(server.stop(), 0)
