"""The commands that talk to the running server, against a simulated workspace."""

import json
import os
import pty
import sqlite3
import subprocess
import tempfile
import unittest
import uuid

from support.attiod import API_KEY, BUILD, Attiod, Sim, connect, differences, envelope, event, free_port, request
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

    def test_on_a_terminal_a_bar_says_how_far_it_is(self):
        self.sim.faults(kind="latency", latency_ms=300)
        self.addCleanup(self.sim.faults, clear=True)
        ours, theirs = pty.openpty()
        with subprocess.Popen([BUILD / "attiod", "sync", "--all", "--url", f"http://127.0.0.1:{self.server.internal}"],
                              stdout=theirs, env={**os.environ, "ATTIO_API_KEY": API_KEY}) as command:
            os.close(theirs)
            shown = b""
            try:
                while some := os.read(ours, 65536):
                    shown += some
            except OSError:  # it has closed its end
                pass
            os.close(ours)
        self.assertEqual(command.returncode, 0)
        frames = [f.decode() for f in shown.split(b"\r") if f.startswith(b"[")]
        self.assertTrue(frames, shown)
        for frame in frames:
            self.assertRegex(frame, r"^\[[=.]+\] \d+ running, \d+ done  \d+ records  \d+/s(  ETA \d+ s)?  budget \d+ %  \d+ s")
        self.assertTrue([f for f in frames if "ETA" in f], frames)
        self.assertRegex(shown.decode(), r"people +done +60 seen")

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

    def test_the_schema_is_shown_and_nothing_is_planned(self):
        code, out, err = self.command("schema", "show")
        self.assertEqual(code, 0, err)
        views = {o["view"]: o for o in json.loads(out)["data"]}
        self.assertLessEqual({"people", "companies", "deals", "notes", "tasks", "comments", "workspace_members"}, set(views))
        self.assertTrue(all(o["state"] == "same" for o in views.values()), views)
        with connect(self.server.db) as c:
            there = {n for n, in c.execute("SELECT name FROM pragma_table_info('people')")}
        self.assertLessEqual({c["name"] for c in views["people"]["columns"]}, there)
        code, out, err = self.command("schema", "show", "--output", "text")
        self.assertEqual((code, "\n    job_title " in out), (0, True), err)
        code, out, err = self.command("schema", "plan")
        self.assertEqual((code, json.loads(out)), (0, {"data": []}), err)
        code, out, err = self.command("schema", "plan", "--output", "text")
        self.assertEqual((code, out), (0, "the mirror is as the schema asks for\n"), err)
        self.assertEqual(self.command("schema", "shwo")[0], 2)

    def test_metrics_and_health_tell_of_a_healthy_server(self):
        code, out, err = self.command("events", "list")
        self.assertEqual(code, 0, err)
        self.assertIsInstance(json.loads(out)["data"], list)
        status = self.server.status()
        self.assertEqual(status["objects"]["people"]["live"], 60)


class WithoutServer(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.sim = Sim(people=20, companies=5, deals=5)
        self.addCleanup(self.sim.kill)
        self.server = Attiod(self.sim, folder.name)
        self.addCleanup(lambda: self.server.child.poll() is None and self.server.kill())
        self.server.until_idle()

    def command(self, *arguments):
        return run(*arguments, environment={"ATTIO_API_KEY": API_KEY, "ATTIO_BASE_URL": self.sim.url, "ATTIOD_INTERNAL_LISTEN":
                                            f"127.0.0.1:{free_port()}", "DATABASE_URL": f"sqlite:{self.server.db}"})

    def test_a_plan_says_what_the_next_start_will_do(self):
        self.assertEqual(self.server.stop(), 0)
        for slug, kind in (("shoe_size", "number"), ("company_target_object", "text")):
            status, answer = request(self.sim.port, "POST", "/v2/objects/people/attributes", {"data": {
                "title": slug, "description": None, "api_slug": slug, "type": kind, "is_required": False, "is_unique": False,
                "is_multiselect": False, "config": {}}}, {"Authorization": "Bearer " + API_KEY})
            self.assertEqual(status, 200, answer)
        code, out, err = self.command("schema", "plan")
        self.assertEqual(code, 0, err)
        plan, = json.loads(out)["data"]
        self.assertEqual((plan["view"], plan["state"]), ("people", "changed"))
        self.assertEqual({c["name"] for c in plan["columns"] if c["missing"]}, {"shoe_size", "company_target_object"})
        code, out, err = self.command("schema", "plan", "--output", "text")
        self.assertEqual(code, 0, err)
        self.assertRegex(out, r"^people: table or views change\n(.*\n)*    \+ shoe_size +number")
        with connect(self.server.db) as c:
            self.assertEqual(c.execute("SELECT count(*) FROM pragma_table_info('people') WHERE name = 'shoe_size'").fetchone()[0], 0)

    def test_dead_events_are_a_queue_of_their_own(self):
        for key in ("a", "b", "c"):
            body = envelope(event("record.updated", str(uuid.uuid4()), str(uuid.uuid4()), str(uuid.uuid4())))
            self.assertEqual(self.server.deliver(body, key)[0], 200)
        self.server.until_idle()
        self.assertEqual(self.server.stop(), 0)
        with sqlite3.connect(self.server.db) as c:
            c.execute("UPDATE attiod_inbox SET state = 2 WHERE dedupe IN ('a', 'b')")
            dead = [n for n, in c.execute("SELECT seq FROM attiod_inbox WHERE state = 2 ORDER BY seq")]
        c.close()
        code, out, err = self.command("dlq", "list")
        self.assertEqual((code, sorted(e["id"] for e in json.loads(out)["data"])), (0, dead), err)
        self.assertEqual(self.command("dlq", "list", "--state", "done")[0], 2)
        self.assertEqual(self.command("dlq", "lst")[0], 2)
        code, out, err = self.command("dlq", "show", str(dead[0]))
        self.assertEqual((code, json.loads(out)["data"]["state"]), (0, "dead"), err)
        code, out, err = self.command("dlq", "replay", "--type", "record.*", "--since", "2020-01-01T00:00:00Z", "--dry-run")
        self.assertEqual((code, json.loads(out)["data"]), (0, {"events": 2, "dry_run": True}), err)
        code, out, err = self.command("dlq", "discard", str(dead[0]))
        self.assertEqual((code, json.loads(out)["data"]["events"]), (0, 1), err)
        code, out, err = self.command("dlq", "replay")  # all that are left
        self.assertEqual((code, json.loads(out)["data"]), (0, {"events": 1, "dry_run": False}), err)
        code, out, err = self.command("dlq", "list", "--output", "text")
        self.assertEqual((code, len(out.splitlines())), (0, 1), out)


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
