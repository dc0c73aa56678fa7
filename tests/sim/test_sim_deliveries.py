"""Webhooks of attio-sim beyond the plain life of one: states, and deliveries that are lost, late, doubled or out of order."""

import json
import re
import time

from support.attiod import request, until
from support.sim_case import Receiver, SimTest


class DeliveryTest(SimTest):
    def setUp(self):
        super().setUp()
        self.target = Receiver()
        self.addCleanup(self.target.close)

    def hook(self, *types, url=None):
        return self.data("POST", "/v2/webhooks", {"data": {
            "target_url": url or self.target.url, "subscriptions": [{"event_type": t, "filter": None} for t in types]}})

    def path(self, hook):
        return "/v2/webhooks/" + hook["id"]["webhook_id"]

    def control(self, hook, method, **body):
        return request(self.sim.port, method, "/_sim/webhooks/" + hook["id"]["webhook_id"], body or None)

    def counts(self):
        return self.sim.control("GET", "/deliveries")

    def settled(self):
        until(lambda: self.counts()["pending"] == 0, "none pending")
        return self.counts()

    def made(self, n):
        return [self.create(name=f"Ann {i}")["id"]["record_id"] for i in range(n)]

    def arrived(self):
        return [e["id"]["record_id"] for e in self.target.events()]

    def keys(self):
        return [h["Idempotency-Key"] for _, h, _ in self.target.got]


class States(DeliveryTest):
    def test_a_state_is_set_and_shown(self):
        hook = self.hook("record.created")
        for status in ("degraded", "inactive", "active"):
            answer = self.control(hook, "POST", status=status)
            self.assertEqual((answer[0], answer[1]["data"]["status"]), (200, status))
            self.assertEqual(self.data("GET", self.path(hook))["status"], status)
            self.assertEqual(self.data("GET", "/v2/webhooks")[0]["status"], status)

    def test_what_is_refused(self):
        hook = self.hook("record.created")
        status, answer = self.control(hook, "POST", status="tired")
        self.assertEqual((status, answer["code"], answer["validation_errors"][0]["path"]), (400, "validation_type", ["status"]))
        self.assertEqual(self.control(hook, "POST", state="active")[0], 400)
        for method in ("POST", "DELETE"):
            self.assertEqual(request(self.sim.port, method, "/_sim/webhooks/x", {"status": "active"})[0], 404)

    def test_a_degraded_one_still_receives_and_recovers(self):
        hook = self.hook("record.created")
        self.control(hook, "POST", status="degraded")
        self.made(1)
        self.settled()
        self.assertEqual(len(self.target.got), 1)
        self.assertEqual(self.data("GET", self.path(hook))["status"], "active")

    def test_an_inactive_one_receives_nothing_and_gives_up_what_waited(self):
        hook = self.hook("record.created")
        self.target.statuses = [500]
        self.made(1)
        until(lambda: self.counts()["retried"] == 1, "one waits for its repetition")
        self.control(hook, "POST", status="inactive")
        self.assertEqual((self.counts()["pending"], self.counts()["failed"]), (0, 1))
        self.made(1)
        self.assertEqual(self.counts()["pending"], 0)
        self.control(hook, "POST", status="active")
        self.made(1)
        self.settled()
        self.assertEqual(len(self.target.got), 2, "the failed one and the last")

    def test_a_week_on_a_clock_that_was_turned_meanwhile(self):
        hook = self.hook("record.created")
        self.control(hook, "POST", status="degraded")
        self.sim.control("POST", "/clock", {"factor": 1e7})
        until(lambda: self.data("GET", self.path(hook))["status"] == "inactive", "inactive after 0.06 s")

    def test_deleted_behind_attios_back(self):
        hook = self.hook("record.created")
        self.target.statuses = [500]
        self.made(1)
        until(lambda: self.counts()["retried"] == 1, "one waits for its repetition")
        self.assertEqual(self.control(hook, "DELETE"), (200, {}))
        self.assertEqual(self.call("GET", self.path(hook))[0], 404)
        self.assertEqual(self.control(hook, "DELETE")[0], 404)
        self.made(1)
        self.assertEqual(self.counts()["pending"], 0)

    def test_a_new_url_takes_what_comes_and_the_old_one_what_waits(self):
        other = Receiver()
        self.addCleanup(other.close)
        hook = self.hook("record.created")
        self.sim.faults(kind="delay", latency_ms=100, count=1)
        self.made(1)
        self.data("PATCH", self.path(hook), {"data": {"target_url": other.url}})
        self.made(1)
        self.settled()
        self.assertEqual((len(self.target.got), len(other.got)), (1, 1))

    def test_two_webhooks_on_one_url_have_their_own_keys(self):
        self.hook("record.created")
        second = {"data": {"target_url": self.target.url, "subscriptions": [{"event_type": "record.created", "filter": None}]}}
        self.fails(409, "uniqueness_conflict", "unique combination", "POST", "/v2/webhooks", second)
        second["data"]["subscriptions"][0]["filter"] = {"$or": [{"field": "actor.type", "operator": "equals", "value": "api-token"}]}
        self.data("POST", "/v2/webhooks", second)
        self.made(1)
        self.settled()
        self.assertEqual(len(set(self.keys())), 2)
        self.assertEqual(len({b for _, _, b in self.target.got}), 2, "each names its webhook")

    def test_a_patch_must_stay_unique(self):
        first = self.hook("record.created")
        second = self.hook("record.updated")
        body = {"data": {"subscriptions": [{"event_type": "record.created", "filter": None}]}}
        self.fails(409, "uniqueness_conflict", "unique combination", "PATCH", self.path(second), body)
        self.data("PATCH", self.path(first), body)


class Misfortune(DeliveryTest):
    def test_lost(self):
        self.hook("record.created")
        self.sim.faults(kind="drop", count=1)
        first, second = self.made(2)
        counts = self.settled()
        self.assertEqual((self.arrived(), counts["lost"], counts["delivered"]), ([second], 1, 1))

    def test_doubled_with_the_same_key(self):
        self.hook("record.created")
        self.sim.faults(kind="duplicate", count=1)
        first, second = self.made(2)
        self.assertEqual(self.settled()["delivered"], 3)
        self.assertEqual(sorted(self.arrived()), sorted([first, first, second]))
        self.assertEqual(len(set(self.keys())), 2)

    def test_the_double_may_come_later(self):
        self.hook("record.created")
        self.sim.faults(kind="duplicate", latency_ms=300, count=1)
        first, second = self.made(2)
        self.settled()
        self.assertEqual(self.arrived(), [first, second, first])

    def test_late(self):
        self.hook("record.created")
        self.sim.faults(kind="delay", latency_ms=300, count=1)
        start = time.monotonic()
        first, second = self.made(2)
        self.settled()
        self.assertEqual(self.arrived(), [second, first])
        self.assertGreaterEqual(self.target.got[1][0] - start, 0.29)

    def test_out_of_order(self):
        self.hook("record.created")
        self.sim.faults(kind="reorder", by=2, latency_ms=60000, count=1)
        a, b, c, d = self.made(4)
        self.settled()
        self.assertEqual(self.arrived(), [b, c, a, d])

    def test_nothing_comes_to_overtake(self):
        self.hook("record.created")
        self.sim.faults(kind="reorder", latency_ms=50, count=1)
        made = self.made(1)
        self.settled()
        self.assertEqual(self.arrived(), made)

    def test_by_type_of_event(self):
        self.hook("record.created", "record.deleted")
        self.sim.faults(kind="drop", event="record.created")
        made = self.made(2)
        self.ok("DELETE", "/v2/objects/people/records/" + made[0])
        self.assertEqual(self.settled()["lost"], 2)
        self.assertEqual([e["event_type"] for e in self.target.events()], ["record.deleted"])
        self.assertEqual(self.sim.control("GET", "/faults")["data"], [{"kind": "drop", "event": "record.created", "hits": 2}])
        self.assertEqual(request(self.sim.port, "POST", "/_sim/faults", {"kind": "drop", "event": 3})[0], 400)

    def test_requests_are_left_alone(self):
        self.sim.faults(kind="drop")
        self.assertEqual(self.call("GET", "/v2/self")[0], 200)
        self.assertEqual(self.sim.control("GET", "/faults")["data"][0]["hits"], 0)

    def test_a_share(self):
        self.hook("record.created")
        self.sim.faults(kind="drop", rate=0.5)
        self.made(60)
        lost = self.counts()["lost"]
        self.assertTrue(10 < lost < 50, lost)

    def test_the_end_while_one_is_held(self):
        self.hook("record.created")
        self.sim.faults(kind="delay", latency_ms=60000)
        self.sim.faults(kind="duplicate", latency_ms=60000)
        self.made(2)
        self.assertEqual(self.counts()["pending"], 4)
        self.assertEqual(self.sim.stop(), 0)


class Edits(SimTest):
    def run_edits(self, **body):
        self.sim.control("POST", "/edit", body)
        until(lambda: not self.sim.control("GET", "/edit")["running"], "the end of the edits", 20)
        done = self.sim.control("GET", "/edit")
        return done["edits"], done["inserts"], done["deletes"]

    def test_so_many_a_second_in_the_usual_mix(self):
        self.assertEqual(self.run_edits(per_second=100, seconds=0.5), (40, 5, 5))

    def test_in_a_mix_of_ones_own(self):
        self.assertEqual(self.run_edits(per_second=100, seconds=0.5, edits=1, inserts=1), (25, 25, 0))

    def test_what_is_refused(self):
        for bad in ({"per_second": "x", "seconds": 1}, {"per_second": -1, "seconds": 1}, {"per_second": 1}):
            self.assertEqual(request(self.sim.port, "POST", "/_sim/edit", bad)[0], 400)

    def compact(self):
        """Everything but times, which are those of the run."""
        text = "".join(json.dumps(self.sim.control("GET", f"/state?object={o}&form=compact")["records"])
                       for o in ("people", "companies", "deals"))
        return re.sub(r"20\d\d-\d\d-\d\dT[0-9:.]*Z", "", text)

    def test_the_same_seed_makes_the_same_changes(self):
        self.run_edits(per_second=200, seconds=0.3)
        once = self.compact()
        self.assertEqual(self.sim.stop(), 0)
        super().setUp()
        self.run_edits(per_second=200, seconds=0.3)
        self.assertEqual(self.compact(), once)
