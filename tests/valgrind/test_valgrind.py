# build: valgrind
# timeout: 1200
"""The real program under valgrind: it starts, takes deliveries, syncs, is asked things, ends; nothing is read that was never
written, nothing is left.

It is then some fifty times as slow, so what it answers "not now" is asked again."""

import tempfile
import unittest

from support.attiod import Attiod, Sim, differences, envelope, event, post_all, request, until, wire


class Watched(Attiod):
    under = ("valgrind", "--fair-sched=yes", "--error-exitcode=99", "--leak-check=full",
             "--errors-for-leak-kinds=definite,indirect,possible", "--num-callers=25")

    def listening(self, name, seconds=300):
        return super().listening(name, seconds)

    def ask(self, method, path, body=None):
        """The status, once it is no "not now"."""
        def answered():
            try:
                status = request(self.internal, method, path, body, timeout=60)[0]
            except OSError:
                return None
            return status if status not in (503, 504) else None
        return until(answered, f"{method} {path}", 300, 0.5)

    def idle(self):
        return self.ask("GET", "/api/v1/status") == 200 and super().idle()


class Valgrind(unittest.TestCase):
    def life(self, name, sim, directory):
        server = Watched(sim, directory)
        self.addCleanup(lambda: server.child.poll() is None and server.child.kill())
        server.until_idle(400)
        people, records = sim.state("people")
        ids = sorted(records)
        workspace = sim.workspace_id()
        load = [(f"{name}-{i}", wire(envelope(event("record.updated", workspace, people, ids[i % len(ids)])), f"{name}-{i}"))
                for i in range(100)]
        until(lambda: {s for _, s in post_all(server.port, load, connections=4, ahead=2)} == {200}, "all acknowledged", 300, 0.5)
        sim.control("POST", "/edit", {"count": 20, "kinds": ["edit", "insert", "delete"]})
        self.assertIn(server.ask("POST", "/api/v1/sync", {"all": True}), (200, 202))
        for path in ("/health", "/metrics", "/api/v1/events", "/api/v1/audit", "/nowhere"):
            self.assertIn(server.ask("GET", path), (200, 404))
        server.until_idle(400)
        until(lambda: differences(sim, server.db) == [], "mirror equals workspace", 200, 0.5)
        self.assertEqual(server.stop(120), 0, server.log_path.read_text(errors="replace")[-6000:])

    def test_two_lives(self):
        with tempfile.TemporaryDirectory() as directory:
            sim = Sim(people=30, companies=10, deals=5)
            self.addCleanup(sim.stop)
            for name in ("first", "second"):  # on no database, and on that of before
                with self.subTest(name):
                    self.life(name, sim, directory)
