"""The commands that talk to the running server, against a simulated workspace."""

import json
import tempfile
import unittest
import uuid

from support.attiod import Attiod, Sim, differences
from test_app import run


class RunningServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.sim = Sim(people=60, companies=20, deals=10)
        cls.addClassCleanup(cls.folder.cleanup)
        cls.addClassCleanup(cls.sim.kill)
        cls.server = Attiod(cls.sim, cls.folder.name, {"ATTIOD_PUBLIC_URL": "http://127.0.0.1:1"})
        cls.addClassCleanup(cls.server.kill)
        cls.server.until_idle()

    def command(self, *arguments):
        return run(*arguments, "--url", f"http://127.0.0.1:{self.server.internal}")

    def test_a_sync_is_followed_to_its_end(self):
        code, out, err = self.command("sync", "people")
        self.assertEqual(code, 0, err)
        last = json.loads(out.splitlines()[-1])
        self.assertEqual((last["object"], last["phase"], last["seen"]), ("people", "done", 60))
        self.assertEqual(differences(self.sim, self.server.db), [])

    def test_all_objects_are_followed(self):
        code, out, err = self.command("sync", "--all")
        self.assertEqual(code, 0, err)
        done = {line["object"] for line in map(json.loads, out.splitlines()) if line["phase"] == "done"}
        self.assertLessEqual({"people", "companies", "deals"}, done)
        code, out, err = self.command("sync", "companies", "--output", "text")
        self.assertEqual(code, 0, err)
        self.assertIn("20 seen", out)

    def test_a_dry_run_counts_and_changes_nothing(self):
        code, out, err = self.command("sync", "deals", "--dry-run")
        self.assertEqual(code, 0, err)
        last = json.loads(out.splitlines()[-1])
        self.assertEqual((last["object"], last["phase"], last["dry_run"]), ("deals", "done", True))
        self.assertEqual((last["seen"], last["created"] + last["updated"] + last["deleted"]), (last["expected"], 0))
        code, out, err = self.command("sync", "--all", "--dry-run", "--output", "text")
        self.assertEqual(code, 0, err)
        self.assertIn("0 to be deleted", out)

    def test_an_unknown_object_is_named_with_the_near_one(self):
        code, _, err = self.command("sync", "peple")
        self.assertEqual(code, 1)
        self.assertIn("did you mean 'people'", err)

    def test_webhooks_are_listed_and_ensured_once(self):
        code, out, err = self.command("webhooks", "list")
        self.assertEqual(code, 0, err)
        ours = [w for w in json.loads(out)["data"] if w["ours"]]
        self.assertEqual(len(ours), 1)
        self.assertTrue(ours[0]["secret_known"])
        code, out, err = self.command("webhooks", "ensure")
        self.assertEqual((code, json.loads(out)["data"]["id"]), (0, ours[0]["id"]), err)
        code, out, err = self.command("webhooks", "list", "--output", "text")
        self.assertEqual(code, 0, err)
        self.assertIn(ours[0]["id"], out)
        code, _, err = self.command("webhooks", "delete", str(uuid.uuid4()))
        self.assertNotEqual(code, 0)
        code, _, err = self.command("webhooks", "delete", ours[0]["id"])
        self.assertEqual(code, 0, err)
        code, out, err = self.command("webhooks", "ensure")
        self.assertEqual((code, json.loads(out)["data"]["created"]), (0, True), err)

    def test_metrics_and_health_tell_of_a_healthy_server(self):
        code, out, err = self.command("events", "list")
        self.assertEqual(code, 0, err)
        self.assertIsInstance(json.loads(out)["data"], list)
        status = self.server.status()
        self.assertEqual(status["objects"]["people"]["live"], 60)


class Failing(unittest.TestCase):
    def test_a_failed_sync_is_7_and_says_why(self):
        with tempfile.TemporaryDirectory() as directory:
            sim = Sim(people=20, companies=5, deals=5)
            self.addCleanup(sim.kill)
            server = Attiod(sim, directory)
            self.addCleanup(server.kill)
            server.until_idle()
            sim.faults(status=403, route="/v2/objects", method="POST")
            code, out, err = run("sync", "people", "--url", f"http://127.0.0.1:{server.internal}", seconds=120)
            self.assertEqual(code, 7, out + err)
            last = json.loads(out.splitlines()[-1])
            self.assertEqual((last["object"], last["phase"]), ("people", "failed"))
            self.assertTrue(last["error"])
            self.assertEqual(server.stop(), 0)
