# takes: 45
"""Our webhook at Attio is looked after: what is wrong is healed, and what it may have cost is synced."""

import json
import os
import sqlite3
import tempfile
import unittest
import uuid

from support.attiod import API_KEY, Attiod, Sim, connect, differences, free_port, request, until
from test_app import run
from test_rotate import BEARER, meta, there


class Watch(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.sim = Sim(people=60, companies=20, deals=10)
        self.addCleanup(self.sim.kill)
        self.port = free_port()
        self.config = os.path.join(self.folder.name, "watch.json")
        self.configure({"watchMs": 300})
        self.server = None
        self.addCleanup(lambda: self.server and self.server.child.poll() is None and self.server.kill())

    def configure(self, webhooks):
        with open(self.config, "w", encoding="ascii") as f:
            json.dump({"webhooks": webhooks}, f)

    def serve(self, **more):
        self.server = Attiod(self.sim, self.folder.name, {
            "ATTIOD_PUBLIC_URL": f"http://127.0.0.1:{self.port}", "ATTIO_WEBHOOK_SECRET": "unused-" + "5e" * 12, **more},
            public_port=self.port, arguments=["--config", self.config])
        self.server.until_idle()
        return self.server

    def webhook(self):
        return request(self.server.internal, "GET", "/health")[1]["dependencies"]["webhook"]

    def until_well(self, why=None):
        """Healed, and made up for. With why, behind a gap that was told: what was done at the
        workspace is not yet known to the server, and until it is all looks well."""
        if why:
            until(lambda: self.events("gap"), f"a gap: {why}", 60, 0.05)
            self.assertEqual([g["why"] for g in self.events("gap")], [why])
        def well():
            w = self.webhook()
            return w["status"] == "active" and w["gap"] is None
        until(well, f"the webhook well and no gap: {self.webhook()}", 60, 0.05)
        self.server.until_idle()

    def events(self, name):
        return [line for line in self.server.lines() if line.get("event") == name]

    def metric(self, name):
        text = request(self.server.internal, "GET", "/metrics")[1].decode()
        return int(next(x for x in text.splitlines() if x.startswith(name + " ")).rsplit(" ", 1)[1])

    def equal(self):
        self.assertEqual(differences(self.sim, self.server.db), [])

    def unseen_edit(self):
        """Something that no event will tell of."""
        self.sim.faults(kind="drop")
        self.sim.control("POST", "/edit", {"count": 30, "kinds": ["edit", "insert"]})
        self.sim.control("POST", "/faults", {"clear": True})
        self.assertNotEqual(differences(self.sim, self.server.db), [])

    def test_a_webhook_that_is_well_is_left_alone(self):
        self.serve()
        (mine,) = there(self.sim)
        looks = self.sim.requests()["reads"]
        until(lambda: self.sim.requests()["reads"] > looks + 5, "some looks")
        self.assertEqual(list(there(self.sim)), [mine])
        self.assertEqual(self.webhook()["state"], "ok")
        self.assertEqual(self.events("gap"), [])
        self.assertEqual(self.metric("attiod_gap_syncs_total"), 0)
        self.assertEqual(self.metric('attiod_webhook_status{status="active"}'), 1)
        self.assertEqual(self.server.stop(), 0)

    def test_missing_it_is_made_anew_and_everything_synced(self):
        self.serve()
        (mine,) = there(self.sim)
        self.unseen_edit()
        self.sim.control("DELETE", f"/webhooks/{mine}")
        until(lambda: there(self.sim) and list(there(self.sim)) != [mine], "another one", 30, 0.05)
        self.until_well("the webhook was missing")
        self.assertGreaterEqual(self.metric("attiod_webhook_healed_total"), 1)
        self.equal()
        # Its events are taken.
        self.sim.control("POST", "/edit", {"count": 20})
        until(lambda: not differences(self.sim, self.server.db), "live events", 60, 0.2)
        self.assertEqual(self.server.stop(), 0)

    def test_inactive_another_one_takes_its_place(self):
        self.serve()
        (mine,) = there(self.sim)
        self.unseen_edit()
        self.sim.control("POST", f"/webhooks/{mine}", {"status": "inactive"})
        until(lambda: mine not in there(self.sim), "the inactive one gone", 30, 0.05)
        self.until_well("the webhook was inactive")
        self.assertEqual([s for _, s in there(self.sim).values()], ["active"])
        self.equal()
        self.assertEqual(self.server.stop(), 0)

    def test_with_other_subscriptions_it_is_changed_back(self):
        self.serve()
        (mine,) = there(self.sim)
        body = {"data": {"subscriptions": [{"event_type": "note.created", "filter": None}]}}
        self.unseen_edit()
        self.assertEqual(request(self.sim.port, "PATCH", f"/v2/webhooks/{mine}", body, BEARER)[0], 200)
        self.until_well("the webhook had other subscriptions")
        self.assertEqual(list(there(self.sim)), [mine])
        self.equal()
        self.assertEqual(self.server.stop(), 0)

    def test_degraded_it_is_reported_and_made_up_for_once_it_is_well_again(self):
        self.serve()
        (mine,) = there(self.sim)
        self.unseen_edit()
        self.sim.control("POST", f"/webhooks/{mine}", {"status": "degraded"})
        until(lambda: self.webhook()["status"] == "degraded", "seen", 30, 0.05)
        until(lambda: self.webhook()["gap"], "the gap", 30, 0.05)
        status, answer = request(self.server.internal, "GET", "/health")
        self.assertEqual((status, answer["status"], answer["dependencies"]["webhook"]["state"]),
                         (200, "degraded", "degraded"))
        self.assertEqual(self.metric('attiod_webhook_status{status="degraded"}'), 1)
        # It is ours still, and nothing is synced as long as it may lose more.
        looks = self.sim.requests()["reads"]
        until(lambda: self.sim.requests()["reads"] > looks + 5, "some looks")
        self.assertEqual(list(there(self.sim)), [mine])
        self.assertEqual(self.metric("attiod_gap_syncs_total"), 0)
        self.assertNotEqual(differences(self.sim, self.server.db), [])
        # Killed now, it is not forgotten.
        self.server.kill()
        self.serve()
        until(lambda: self.webhook()["gap"], "the gap is remembered", 30, 0.05)
        self.sim.control("POST", f"/webhooks/{mine}", {"status": "active"})
        self.until_well()
        self.equal()
        self.assertEqual(self.server.stop(), 0)

    def test_killed_in_the_gap_sync_it_is_begun_again(self):
        self.serve()
        (mine,) = there(self.sim)
        self.unseen_edit()
        self.sim.faults(latency_ms=60000, route="/v2/objects/deals/records/query")
        self.sim.control("DELETE", f"/webhooks/{mine}")
        until(lambda: self.events("gap_sync"), "the sync begun", 30, 0.05)
        self.server.kill()
        self.assertEqual(meta(self.server.db, "gap_why"), "the webhook was missing")
        self.sim.control("POST", "/faults", {"clear": True})
        self.serve()
        self.until_well("the webhook was missing")
        self.equal()
        self.assertIsNone(meta(self.server.db, "gap_why"))
        self.assertEqual(self.server.stop(), 0)

    def test_after_a_long_time_without_us_everything_is_synced(self):
        self.serve()
        self.assertEqual(self.server.stop(), 0)
        # Down for a short while: Attio repeats what we missed, nothing is synced.
        self.serve()
        self.assertEqual(self.events("gap"), [])
        self.assertEqual(self.server.stop(), 0)
        db = sqlite3.connect(self.server.db)
        db.execute("UPDATE attiod_meta SET value = value - 90000 * 1000000000 WHERE key = 'alive_at'")
        db.commit()
        db.close()
        self.sim.faults(kind="drop")
        self.sim.control("POST", "/edit", {"count": 30, "kinds": ["edit"]})
        self.sim.control("POST", "/faults", {"clear": True})
        self.serve()
        until(lambda: self.events("gap"), "the gap", 30, 0.05)
        self.assertIn("longer than Attio repeats", self.events("gap")[0]["why"])
        self.until_well()
        self.equal()
        self.assertEqual(self.server.stop(), 0)

    def test_one_whose_secret_is_unknown_waits_for_an_operator(self):
        self.serve()
        (mine,) = there(self.sim)
        self.assertEqual(self.server.stop(), 0)
        db = sqlite3.connect(self.server.db)
        db.execute("DELETE FROM attiod_webhook")
        db.commit()
        db.close()
        self.serve()
        until(lambda: self.webhook()["status"] == "secret_unknown", "seen", 30, 0.05)
        self.assertEqual(list(there(self.sim)), [mine])
        url = ["--url", f"http://127.0.0.1:{self.server.internal}"]
        code, _, err = run("webhooks", "ensure", *url)
        self.assertEqual(code, 3)
        self.assertIn("--replace", err)
        code, _, err = run("webhooks", "ensure", "--replace", *url)
        self.assertEqual(code, 0, err)
        self.assertNotIn(mine, there(self.sim))
        self.until_well("the webhook's secret was not known")
        self.equal()
        self.assertEqual(self.server.stop(), 0)

    def test_while_attio_is_away_it_goes_on_looking(self):
        self.serve()
        (mine,) = there(self.sim)
        self.sim.faults(status=503, route="/v2/webhooks")
        until(lambda: self.events("webhook_watch_failed"), "a look that failed", 60, 0.05)
        self.assertEqual(self.webhook()["status"], "active")
        self.sim.control("DELETE", f"/webhooks/{mine}")
        self.sim.control("POST", "/faults", {"clear": True})
        until(lambda: there(self.sim), "another one", 60, 0.05)
        self.until_well("the webhook was missing")
        self.assertEqual(self.server.stop(), 0)

    def test_after_a_restore_everything_is_synced(self):
        self.serve()
        copy = os.path.join(self.folder.name, "copy.db")
        url = ["--url", f"http://127.0.0.1:{self.server.internal}"]
        code, _, err = run("backup", copy, *url)
        self.assertEqual(code, 0, err)
        self.sim.control("POST", "/edit", {"count": 60, "kinds": ["edit", "insert"]})
        until(lambda: not differences(self.sim, self.server.db), "live events", 60, 0.2)
        self.assertEqual(self.server.stop(), 0)
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(f"{self.server.db}{suffix}"):
                os.remove(f"{self.server.db}{suffix}")
        os.rename(copy, self.server.db)
        # Told with no server running, by the next one done.
        code, out, err = run("restored", "--output", "text", environment={
            "ATTIO_BASE_URL": self.sim.url, "DATABASE_URL": f"sqlite:{self.server.db}", "ATTIOD_INTERNAL_LISTEN": f"127.0.0.1:{free_port()}"})
        self.assertEqual(code, 0, err)
        self.assertIn("with the next attiod serve", out)
        with connect(self.server.db) as c:
            self.assertGreater(c.execute("SELECT value FROM attiod_sequence WHERE name = 'version'").fetchone()[0], 1 << 40)
        self.serve()
        self.until_well()
        self.equal()
        # Told while it runs.
        self.unseen_edit()
        code, out, err = run("restored", "--url", f"http://127.0.0.1:{self.server.internal}")
        self.assertEqual(code, 0, err)
        until(lambda: self.metric("attiod_gap_syncs_total") == 2, "the sync", 30, 0.05)
        self.until_well()
        self.equal()
        self.assertEqual(self.server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
