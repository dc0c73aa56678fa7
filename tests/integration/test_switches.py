"""The kill switches: no calls at all, or no writes; what comes in is stored either way, and nothing is lost by it."""

import tempfile
import unittest
import uuid

from support.attiod import Attiod, Sim, differences, envelope, event, request, until


class Switches(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.sim = Sim(people=120, companies=30, deals=10)
        self.server = None

    def tearDown(self):
        if self.server and self.server.child.poll() is None:
            self.server.kill()
        self.sim.stop()
        self.folder.cleanup()

    def serve(self, **environment):
        self.server = Attiod(self.sim, self.folder.name, environment)
        return self.server

    def deliver_all(self, kind="record.updated"):
        object_id, people = self.sim.state("people")
        for record in people:
            body = envelope(event(kind, self.workspace, object_id, record))
            self.assertEqual(self.server.deliver(body, key=str(uuid.uuid4()))[0], 200)

    def test_no_calls_at_all(self):
        self.workspace = self.sim.workspace_id()
        self.sim.control("POST", "/requests", {})
        a = self.serve(ATTIO_ENABLED="false", ATTIOD_PUBLIC_URL="https://hooks.example.com")
        self.deliver_all()
        self.assertEqual(request(a.internal, "POST", "/api/v1/sync", {"all": True})[1]["code"], "disabled")
        self.assertEqual(request(a.internal, "POST", "/api/v1/webhooks", {})[1]["code"], "disabled")
        self.assertEqual(request(a.internal, "GET", "/health")[1]["dependencies"]["attio"]["state"], "disabled")
        self.assertEqual(request(a.port, "GET", "/readyz")[0], 200)
        self.assertEqual(a.status()["pending_events"], 120)
        self.assertEqual(a.stop(), 0)
        self.assertEqual(self.sim.requests()["total"], 0)
        b = self.serve(ATTIO_ENABLED="true")
        b.until_idle()
        self.assertEqual(differences(self.sim, b.db), [])
        self.assertEqual(b.stop(), 0)

    def test_no_writes(self):
        self.workspace = self.sim.workspace_id()
        self.sim.control("POST", "/requests", {})
        a = self.serve(ATTIO_WRITES_ENABLED="false", ATTIOD_PUBLIC_URL="https://hooks.example.com")
        until(lambda: differences(self.sim, a.db) == [], "the first sync, without a webhook of ours", 60)
        self.sim.control("POST", "/edit", {"count": 50, "objects": ["people"], "kinds": ["edit"]})
        self.deliver_all()
        until(lambda: a.status()["pending_events"] == 0, "all events handled", 60)
        self.assertEqual(differences(self.sim, a.db), [])
        self.assertEqual(request(a.internal, "POST", "/api/v1/webhooks", {})[1]["code"], "disabled")
        self.assertEqual(self.sim.requests()["writes"], 0)
        self.assertEqual(a.stop(), 0)
