# build: debug
# timeout: 300
# takes: 60
"""Every kind of change in a workspace reaches the mirror by its webhooks alone: no sync runs after the first."""

import json
import sqlite3
import tempfile
import unittest

from support.attiod import API_KEY, Attiod, Sim, connect, differences, free_port, request, until

KINDS = {  # view: its own id, as in Attio's "id"
    "notes": "note_id",
    "tasks": "task_id",
    "comments": "comment_id",
    "workspace_members": "workspace_member_id",
}


class Events(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.sim = Sim(people=40, companies=10, deals=5,
                       extra=["--lists", "2", "--entries", "30", "--notes", "30", "--tasks", "20", "--comments", "40",
                              "--limits", "off", "--rate-per-url", "500"])
        self.addCleanup(self.sim.stop)
        port = free_port()
        self.server = Attiod(self.sim, directory.name,
                             {"ATTIOD_PUBLIC_URL": f"http://127.0.0.1:{port}", "ATTIO_ENV": "development"}, public_port=port)
        self.addCleanup(self.server.stop)
        self.server.until_idle(120)

    def attio(self, method, path, body=None, want=(200, 202)):
        status, answer = request(self.sim.port, method, path, body, {"Authorization": "Bearer " + API_KEY})
        self.assertIn(status, want, f"{method} {path}: {answer}")
        return answer.get("data")

    def rows(self, view, key):
        """{id: raw} of the live ones; None when there is no such view yet."""
        with connect(self.server.db) as c:
            try:
                return {i: json.loads(raw) for i, raw in c.execute(f'SELECT {key}, _raw FROM "{view}_live"')}
            except sqlite3.OperationalError:
                return {}

    def tombstone(self, view, key, one):
        with connect(self.server.db) as c:
            return c.execute(f'SELECT count(*) FROM "{view}" WHERE {key} = ? AND _deleted_at IS NOT NULL',
                             (one,)).fetchone()[0] == 1

    def until(self, condition, what):
        def check():
            try:
                return condition()
            except (sqlite3.OperationalError, LookupError):
                return False
        until(check, what, 60, 0.05)

    def fresh(self):
        """Nothing is on its way: all was delivered and handled."""
        until(lambda: self.sim.control("GET", "/deliveries")["pending"] == 0, "all delivered", 60, 0.05)
        self.server.until_idle(60)
        with connect(self.server.db) as c:
            self.assertEqual(c.execute("SELECT count(*) FROM attiod_attempt").fetchone()[0], 0)

    def person(self, index=0):
        object_id, people = self.sim.state("people")
        return object_id, sorted(people)[index]

    def test_entries(self):
        _, record = self.person()
        lists = [v["api_slug"] for v in self.attio("GET", "/v2/lists") if "people" in v["parent_object"]]
        slug = lists[0]
        path = f"/v2/lists/{slug}/entries"
        entry = self.attio("POST", path, {"data": {"parent_record_id": record, "parent_object": "people",
                                                   "entry_values": {}}})
        one = entry["id"]["entry_id"]
        view = "list_" + slug
        self.until(lambda: self.rows(view, "entry_id")[one]["parent_record_id"] == record, "the entry's row")
        attribute = next(a for a in self.attio("GET", f"/v2/lists/{slug}/attributes")
                         if a["type"] in ("text", "number", "rating") and a["is_writable"])
        value = 3 if attribute["type"] != "text" else "changed"
        self.attio("PATCH", f"{path}/{one}", {"data": {"entry_values": {attribute["api_slug"]: value}}})
        self.until(lambda: self.rows(view, "entry_id")[one]["entry_values"][attribute["api_slug"]][0]["value"] == value,
                   "the entry's new value")
        self.attio("DELETE", f"{path}/{one}")
        self.until(lambda: self.tombstone(view, "entry_id", one), "the entry's tombstone")
        self.fresh()

    def test_notes_tasks_and_comments(self):
        _, record = self.person()
        member = self.attio("GET", "/v2/workspace_members")[0]["id"]["workspace_member_id"]
        note = self.attio("POST", "/v2/notes", {"data": {
            "parent_object": "people", "parent_record_id": record, "title": "First", "format": "plaintext",
            "content": "text"}})["id"]["note_id"]
        task = self.attio("POST", "/v2/tasks", {"data": {
            "content": "do", "format": "plaintext", "deadline_at": None, "is_completed": False, "linked_records": [],
            "assignees": []}})["id"]["task_id"]
        comment = self.attio("POST", "/v2/comments", {"data": {
            "format": "plaintext", "content": "well", "author": {"type": "workspace-member", "id": member},
            "record": {"object": "people", "record_id": record}}})["id"]["comment_id"]
        self.until(lambda: self.rows("notes", "note_id")[note]["title"] == "First", "the note")
        self.until(lambda: not self.rows("tasks", "task_id")[task]["is_completed"], "the task")
        self.until(lambda: self.rows("comments", "comment_id")[comment]["resolved_at"] is None, "the comment")
        self.attio("PATCH", f"/v2/notes/{note}", {"data": {"title": "Second"}})
        self.attio("PATCH", f"/v2/tasks/{task}", {"data": {"is_completed": True}})
        self.sim.control("POST", f"/comments/{comment}", {"resolved": True})
        self.until(lambda: self.rows("notes", "note_id")[note]["title"] == "Second", "the note's title")
        self.until(lambda: self.rows("tasks", "task_id")[task]["is_completed"], "the task done")
        self.until(lambda: self.rows("comments", "comment_id")[comment]["resolved_at"], "the comment resolved")
        self.attio("DELETE", f"/v2/notes/{note}")
        self.attio("DELETE", f"/v2/tasks/{task}")
        self.attio("DELETE", f"/v2/comments/{comment}")
        for view, one in (("notes", note), ("tasks", task), ("comments", comment)):
            self.until(lambda view=view, one=one: self.tombstone(view, KINDS[view], one), f"{view}: a tombstone")
        self.sim.control("POST", "/members", {})
        self.until(lambda: len(self.rows("workspace_members", KINDS["workspace_members"]))
                   and self.rows("workspace_members", KINDS["workspace_members"]), "the new member")
        self.sim.control("POST", "/call-recordings", {})
        self.fresh()

    def test_everything_at_once(self):
        self.sim.control("POST", "/edit", {"count": 400, "objects": ["all"]})
        self.fresh()
        self.assertEqual(differences(self.sim, self.server.db), [])
        for view, key in KINDS.items():
            answer = self.sim.control("GET", f"/state?object={view}")
            there = {r["id"][key]: r for r in answer.get("data", answer)["records"]}
            here = self.rows(view, key)
            if view != "workspace_members":  # random edits make none
                self.assertTrue(here, view)
            for one, row in here.items():
                self.assertEqual(row, there.get(one), f"{view} {one}")

    def merge(self, vintage):
        self.sim.control("POST", "/merge", {"vintage": vintage, "apply_ms": 300})
        _, people = self.sim.state("people")
        a, b = sorted(people)[3:5]
        member = self.attio("GET", "/v2/workspace_members")[0]["id"]["workspace_member_id"]
        slug = next(v["api_slug"] for v in self.attio("GET", "/v2/lists") if "people" in v["parent_object"])
        note = self.attio("POST", "/v2/notes", {"data": {
            "parent_object": "people", "parent_record_id": b, "title": "hangs on b", "format": "plaintext",
            "content": "text"}})["id"]["note_id"]
        comment = self.attio("POST", "/v2/comments", {"data": {
            "format": "plaintext", "content": "well", "author": {"type": "workspace-member", "id": member},
            "record": {"object": "people", "record_id": b}}})["id"]["comment_id"]
        entry = self.attio("POST", f"/v2/lists/{slug}/entries", {"data": {
            "parent_record_id": b, "parent_object": "people", "entry_values": {}}})["id"]["entry_id"]
        self.fresh()
        new = self.attio("POST", "/v2/objects/people/records/merge",
                         {"data": {"primary_record_id": a, "secondary_record_id": b}})["new_record_id"]
        gone = [b] if vintage == "old" else [a, b]
        for one in gone:
            self.until(lambda one=one: self.tombstone("people", "record_id", one), "the tombstone of what was merged")
        self.until(lambda: new in self.rows("people", "record_id"), "the result")
        self.fresh()
        self.assertEqual(differences(self.sim, self.server.db, ("people",)), [])
        with connect(self.server.db) as c:
            self.assertEqual({old for old, in c.execute("SELECT old_id FROM attiod_merge WHERE new_id = ?", (new,))},
                             set(gone))
        # What hung on b hangs on the result, of which Attio sent no events.
        self.assertEqual(self.rows("notes", "note_id")[note]["parent_record_id"], new)
        self.assertEqual(self.rows("comments", "comment_id")[comment]["record"]["record_id"], new)
        self.assertEqual(self.rows("list_" + slug, "entry_id")[entry]["parent_record_id"], new)

    def test_merge_into_a_new_record(self):
        self.merge("new")

    def test_merge_into_a_survivor(self):
        self.merge("old")
