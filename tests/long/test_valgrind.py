# build: valgrind
# timeout: 900
"""The real program under valgrind: it starts, takes deliveries, syncs, is asked things, ends; nothing is read that was never
written, nothing is left."""

import tempfile
import unittest

from support.attiod import Attiod, Sim, differences, envelope, event, post_all, request, until, wire


class Watched(Attiod):
    under = ("valgrind", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect,possible",
             "--num-callers=25")


class Valgrind(unittest.TestCase):
    def test_a_life(self):
        with tempfile.TemporaryDirectory() as directory:
            sim = Sim(people=60, companies=20, deals=10)
            self.addCleanup(sim.stop)
            workspace = sim.workspace_id()
            people, records = sim.state("people")
            ids = sorted(records)
            for _ in range(2):  # on no database, and on that of before
                server = Watched(sim, directory)
                self.addCleanup(lambda child=server.child: child.poll() is None and child.kill())
                server.until_idle(240)
                load = [(f"v{_}-{i}", wire(envelope(event("record.updated", workspace, people, ids[i % len(ids)])), f"v{_}-{i}"))
                        for i in range(200)]
                answers = post_all(server.port, load + load[:20], connections=8, ahead=4)
                self.assertEqual({status for _, status in answers}, {200})
                self.assertEqual(server.deliver(b"{", secret="wrong")[0], 401)
                sim.control("POST", "/edit", {"count": 20, "kinds": ["edit", "insert", "delete"]})
                self.assertIn(request(server.internal, "POST", "/api/v1/sync", {"all": True}, timeout=120)[0], (200, 202))
                server.until_idle(240)
                for path in ("/health", "/metrics", "/api/v1/status", "/api/v1/events", "/api/v1/audit", "/nowhere"):
                    self.assertIn(request(server.internal, "GET", path, timeout=60)[0], (200, 404))
                until(lambda: differences(sim, server.db) == [], "mirror equals workspace", 120, 0.2)
                self.assertEqual(server.stop(60), 0, server.log_path.read_text(errors="replace")[-6000:])
