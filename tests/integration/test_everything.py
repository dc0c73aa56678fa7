"""Records, entries, notes, tasks, comments and members, changed all at once while deliveries come late, twice, out of order or
not at all: the mirror equals the workspace at rest."""
# timeout: 240

import os
import tempfile
import unittest

from support.attiod import Attiod, Sim, differences, free_port, request, until

SEED = int(os.environ.get("ATTIOD_SEED", "1"))
SEEDED = ("people", "companies", "deals", "list:sales_pipeline", "list:candidates", "list:renewals", "notes", "tasks",
          "workspace_members")


class EverythingTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.sim = Sim(60, 12, 8, SEED, ("--limits", "off", "--rate-per-url", "0", "--lists", "3", "--entries", "45",
                                         "--notes", "30", "--tasks", "30"))
        self.addCleanup(lambda: self.assertEqual(self.sim.stop(), 0))
        port = free_port()
        self.attiod = Attiod(self.sim, folder.name, {"ATTIOD_PUBLIC_URL": f"http://127.0.0.1:{port}"}, public_port=port)
        self.addCleanup(lambda: self.assertEqual(self.attiod.stop(), 0))
        self.attiod.until_idle()

    def equal(self, names):
        """At rest: nothing on its way, nothing pending."""
        def rest():
            self.attiod.until_idle()
            return self.sim.control("GET", "/deliveries")["pending"] == 0 and self.attiod.idle()
        until(rest, "rest", 60, 0.05)
        self.assertEqual(differences(self.sim, self.attiod.db, names), [])

    def edit(self, seconds=4):
        self.sim.control("POST", "/edit", {"per_second": 40, "seconds": seconds, "objects": ["all"],
                                           "edits": 6, "inserts": 3, "deletes": 1})
        until(lambda: not self.sim.control("GET", "/edit")["running"], "the end of the edits", 30)

    def test_late_twice_and_out_of_order(self):
        self.equal(SEEDED)
        self.sim.faults(kind="duplicate", rate=0.2, latency_ms=200)
        self.sim.faults(kind="reorder", rate=0.2, by=3, latency_ms=500)
        self.sim.faults(kind="delay", rate=0.1, latency_ms=700)
        self.edit()
        for _ in range(3):
            self.sim.control("POST", "/members")
        self.equal((*SEEDED, "comments"))

    def test_what_was_lost_is_found_by_a_full_sync(self):
        self.sim.faults(kind="drop", rate=0.4)
        self.edit()
        self.sim.faults(clear=True)
        self.assertGreater(self.sim.control("GET", "/deliveries")["lost"], 10)
        self.attiod.until_idle()
        self.assertNotEqual(differences(self.sim, self.attiod.db, SEEDED), [], "or nothing was lost")
        status, answer = request(self.attiod.internal, "POST", "/api/v1/sync", {"all": True})
        self.assertEqual(status, 202, answer)
        self.equal(SEEDED)
