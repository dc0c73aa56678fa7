# takes: 80
"""Rotating the webhook and its secret: under load, and killed in every step."""

import json
import pathlib
import subprocess
import tempfile
import unittest

from support.attiod import API_KEY, BUILD, Attiod, Sim, connect, differences, free_port, request, until
from test_app import run

BEARER = {"Authorization": "Bearer " + API_KEY}


def there(sim):
    """Attio's webhooks: {id: (target, status)}"""
    status, answer = request(sim.port, "GET", "/v2/webhooks?limit=100", headers=BEARER)
    assert status == 200, answer
    return {w["id"]["webhook_id"]: (w["target_url"], w["status"]) for w in answer["data"]}


def stored(db):
    """{id: retired}"""
    with connect(db) as c:
        return {i: r is not None for i, r in c.execute("SELECT webhook_id, retired_at FROM attiod_webhook")}


def meta(db, key):
    with connect(db) as c:
        row = c.execute("SELECT value FROM attiod_meta WHERE key = ?", (key,)).fetchone()
    return row and row[0]


class Rotate(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.sim = Sim(people=100, companies=20, deals=10)
        self.addCleanup(self.sim.kill)
        self.port = free_port()
        self.server = None
        self.addCleanup(lambda: self.server and self.server.child.poll() is None and self.server.kill())

    def serve(self, **more):
        # The receiver's own secret is only the one that ensure gets: what is signed otherwise is refused.
        self.server = Attiod(self.sim, self.folder.name, {
            "ATTIOD_PUBLIC_URL": f"http://127.0.0.1:{self.port}", "ATTIO_WEBHOOK_SECRET": "unused-" + "5e" * 12, **more},
            public_port=self.port)
        self.server.until_idle()
        return self.server

    def deliveries(self, outcome):
        text = request(self.server.internal, "GET", "/metrics")[1].decode()
        line = f'attiod_webhook_deliveries_total{{outcome="{outcome}"}} '
        return int(next(x for x in text.splitlines() if x.startswith(line)).rsplit(" ", 1)[1])

    def rotate(self):
        return run("webhooks", "rotate", "--url", f"http://127.0.0.1:{self.server.internal}")

    def test_under_load_no_genuine_delivery_is_refused(self):
        a = self.serve()
        first = there(self.sim)
        self.assertEqual([t for t, _ in first.values()], [f"http://127.0.0.1:{self.port}/webhooks/attio"])
        self.sim.control("POST", "/edit", {"edits": 40, "inserts": 4, "seconds": 20, "objects": ["people"]})
        until(lambda: self.deliveries("accepted") > 50, "load")
        seen = []
        for _ in range(3):
            before = self.deliveries("accepted")
            code, out, err = self.rotate()
            self.assertEqual(code, 0, err)
            answer = json.loads(out)["data"]
            self.assertTrue(answer["created"])
            seen.append(answer["target_url"].rsplit("/", 1)[1])
            self.assertEqual(list(there(self.sim)), [answer["id"]])
            until(lambda before=before: self.deliveries("accepted") > before + 20, "deliveries by the new one")
        self.assertEqual(seen, ["a", "b", "a"])
        until(lambda: not self.sim.control("GET", "/edit").get("running"), "the end of the edits", 60)
        self.assertEqual(self.deliveries("bad_signature"), 0)
        self.assertEqual(self.deliveries("no_secret"), 0)
        # What the old ones had yet to repeat went with them: a full sync makes up for it.
        until(lambda: meta(a.db, "gap_why") is None, "the gap closed", 60, 0.2)
        a.until_idle()
        until(lambda: not self.sim.control("GET", "/deliveries")["pending"], "all deliveries", 120, 0.5)
        a.until_idle()
        until(lambda: not differences(self.sim, a.db, ("people",)), "the mirror equals the workspace", 60, 0.5)
        # The secrets of those that went are accepted a while longer, also by the next process.
        self.assertEqual(sorted(stored(a.db).values()), [False, True, True, True])
        self.assertEqual(a.stop(), 0)
        self.serve()
        self.assertEqual(len(there(self.sim)), 1)
        self.assertEqual(self.server.stop(), 0)

    # ---- killed in each step ----------------------------------------------------------------------------------------

    def begin(self):
        """A rotation under way; whoever answers it does so as the step wants."""
        return subprocess.Popen([str(BUILD / "attiod"), "webhooks", "rotate", "--url",
                                 f"http://127.0.0.1:{self.server.internal}"], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def kill_when(self, condition, what):
        child = self.begin()
        try:
            until(condition, what)
            self.server.kill()
        finally:
            child.communicate(timeout=60)

    def fault(self, method):
        self.sim.faults(kind="latency", route="/v2/webhooks", method=method, latency_ms=60000, count=1)

    def asked(self, method):
        """How often Attio was asked to do that, answered or not."""
        return sum(r["count"] for r in self.sim.requests()["routes"] if r["method"] == method and "webhooks" in r["route"])

    def finish(self, old, expect_new):
        """The next process comes up, then rotation is asked for again: in the end one webhook that is accepted."""
        self.sim.control("POST", "/faults", {"clear": True})
        a = self.serve()
        after_start = there(self.sim)
        self.assertEqual(len(after_start), 1, after_start)
        if expect_new:
            self.assertNotIn(old, after_start)
        code, out, err = self.rotate()
        self.assertEqual(code, 0, err)
        last = there(self.sim)
        self.assertEqual(list(last), [json.loads(out)["data"]["id"]])
        self.assertNotIn(old, last)
        self.assertIsNone(meta(a.db, "webhook_creating"))
        self.assertEqual([i for i, retired in stored(a.db).items() if not retired], list(last))
        # Its deliveries are taken.
        before = self.deliveries("accepted")
        self.sim.control("POST", "/edit", {"count": 5, "kinds": ["edit"], "objects": ["people"]})
        until(lambda: self.deliveries("accepted") >= before + 5, "deliveries")
        self.assertEqual(self.deliveries("bad_signature"), 0)
        self.assertEqual(a.stop(), 0)

    def start(self):
        self.serve()
        (old,) = there(self.sim)
        return old

    def test_killed_while_the_list_is_asked_for(self):
        old = self.start()
        before = self.asked("GET")
        self.fault("GET")
        self.kill_when(lambda: self.asked("GET") > before, "the list asked for")
        self.assertEqual(list(there(self.sim)), [old])
        self.finish(old, False)

    def test_killed_when_the_note_is_stored_and_the_new_one_made_but_its_secret_not_known(self):
        old = self.start()
        self.fault("POST")
        self.kill_when(lambda: len(there(self.sim)) == 2, "the new one made")
        self.assertTrue(meta(self.server.db, "webhook_creating").endswith("/a"))
        self.assertEqual(stored(self.server.db), {old: False})
        self.finish(old, False)

    def test_killed_when_only_the_note_is_stored(self):
        old = self.start()
        self.sim.faults(kind="status", status=503, route="/v2/webhooks", method="POST")
        self.kill_when(lambda: meta(self.server.db, "webhook_creating"), "the note")
        self.assertEqual(list(there(self.sim)), [old])
        self.finish(old, False)

    def test_killed_when_the_secret_is_stored_and_the_old_one_still_there(self):
        old = self.start()
        self.sim.faults(kind="status", status=503, route="/v2/webhooks", method="DELETE")
        self.kill_when(lambda: len(stored(self.server.db)) == 2, "the new secret stored")
        self.assertEqual(len(there(self.sim)), 2)
        self.finish(old, True)

    def test_killed_while_both_are_there(self):
        old = self.start()
        self.kill_when(lambda: len(there(self.sim)) == 2 and len(stored(self.server.db)) == 2, "both there")
        self.assertEqual(len(there(self.sim)), 2)
        self.finish(old, True)

    def test_killed_when_the_old_one_is_deleted_there_and_not_retired_here(self):
        old = self.start()
        self.fault("DELETE")
        self.kill_when(lambda: old not in there(self.sim), "the old one deleted")
        self.assertEqual(sorted(stored(self.server.db).values()), [False, False])
        self.finish(old, True)

    def test_what_it_answers_and_refuses(self):
        a = self.serve()
        code, out, err = run("webhooks", "rotate", "--output", "text", "--url", f"http://127.0.0.1:{a.internal}")
        self.assertEqual(code, 0, err)
        self.assertIn("ours, created", out)
        self.assertIn("/webhooks/attio/a", out)
        # One whose secret we never had, in one of our slots: asked about.
        body = {"data": {"target_url": f"http://127.0.0.1:{self.port}/webhooks/attio/b",
                         "subscriptions": [{"event_type": "note.created", "filter": None}]}}
        self.assertEqual(request(self.sim.port, "POST", "/v2/webhooks", body, BEARER)[0], 200)
        code, _, err = self.rotate()
        self.assertEqual(code, 3)
        self.assertIn("--replace", err)
        code, _, err = run("webhooks", "rotate", "--replace", "--url", f"http://127.0.0.1:{a.internal}")
        self.assertEqual(code, 0, err)
        self.assertEqual(len(there(self.sim)), 1)
        for line in a.lines():
            self.assertNotIn("secret-of", json.dumps(line))
        with connect(a.db) as c:
            secrets = [s for (s,) in c.execute("SELECT secret FROM attiod_webhook")]
        log = pathlib.Path(a.log_path).read_text(encoding="utf-8")
        for secret in secrets:
            self.assertNotIn(secret, log)
        self.assertEqual(a.stop(), 0)


if __name__ == "__main__":
    unittest.main()
