# takes: 65
"""Each of Attio's 27 event types, delivered as Attio shapes it: what is asked of Attio, and what the mirror is then.

The workspace changes without telling (it has no webhook); the event is made here and delivered. ATTIOD_WEBHOOK_EVENTS may name a
file of samples ({"events": [{"event_type", "id": [...], "extra": [...]}], "sample_ids", "signature_test_vector"}): then ours
are held against it too.
"""

import json
import os
import pathlib
import tempfile
import unittest
import uuid

from support.attiod import API_KEY, Attiod, Sim, connect, request, signed, until

RECORD = ("workspace_id", "object_id", "record_id")
ENTRY = ("workspace_id", "list_id", "entry_id")
PARENT = ("parent_object_id", "parent_record_id")
PLACE = ("thread_id", "object_id", "record_id", "list_id", "entry_id")
SHAPES = {  # type: (keys of id, other keys)
    "record.created": (RECORD, ()),
    "record.updated": ((*RECORD, "attribute_id"), ()),
    "record.merged": (RECORD, ("duplicate_object_id", "duplicate_record_id")),
    "record.deleted": (RECORD, ()),
    "list-entry.created": (ENTRY, PARENT),
    "list-entry.updated": ((*ENTRY, "attribute_id"), PARENT),
    "list-entry.deleted": (ENTRY, PARENT),
    "note.created": (("workspace_id", "note_id"), PARENT),
    "note.updated": (("workspace_id", "note_id"), PARENT),
    "note-content.updated": (("workspace_id", "note_id"), PARENT),
    "note.deleted": (("workspace_id", "note_id"), PARENT),
    "task.created": (("workspace_id", "task_id"), ()),
    "task.updated": (("workspace_id", "task_id"), ()),
    "task.deleted": (("workspace_id", "task_id"), ()),
    "comment.created": (("workspace_id", "comment_id"), PLACE),
    "comment.resolved": (("workspace_id", "comment_id"), PLACE),
    "comment.unresolved": (("workspace_id", "comment_id"), PLACE),
    "comment.deleted": (("workspace_id", "comment_id"), PLACE),
    "list.created": (("workspace_id", "list_id"), ()),
    "list.updated": (("workspace_id", "list_id"), ()),
    "list.deleted": (("workspace_id", "list_id"), ()),
    "list-attribute.created": (("workspace_id", "list_id", "attribute_id"), ()),
    "list-attribute.updated": (("workspace_id", "list_id", "attribute_id"), ()),
    "object-attribute.created": (("workspace_id", "object_id", "attribute_id"), ()),
    "object-attribute.updated": (("workspace_id", "object_id", "attribute_id"), ()),
    "workspace-member.created": (("workspace_id", "workspace_member_id"), ()),
    "call-recording.created": (("workspace_id", "meeting_id", "call_recording_id"), ()),
}
QUERY, GET = "POST /v2/objects/{object}/records/query", "GET /v2/objects/{object}/records/{record}"
ENTRIES = "POST /v2/lists/{list}/entries/query"
SCHEMA = {"GET /v2/objects", "GET /v2/lists"}  # at least; and the attributes of each
DONE = 3


class EventTypes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sim = Sim(20, 5, 3, 1, ("--limits", "off", "--lists", "2", "--entries", "10"))
        cls.addClassCleanup(cls.sim.kill)
        cls.workspace = cls.sim.workspace_id()
        cls.people, _ = cls.sim.state("people")

    def setUp(self):
        """A server each: what one test's changes of the schema set going is not asked for in the next one."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.server = Attiod(self.sim, folder.name, {"ATTIO_ENV": "development", "ATTIOD_PUBLIC_URL": None})
        self.addCleanup(self.server.kill)
        self.server.until_idle()

    # --- the workspace ---

    def attio(self, method, path, data=None):
        status, answer = request(self.sim.port, method, path, None if data is None else {"data": data},
                                 {"Authorization": "Bearer " + API_KEY})
        self.assertIn(status, (200, 202), f"{method} {path}: {answer}")
        return answer.get("data")

    def made(self, path, data, key):
        return self.attio("POST", path, data)["id"][key]

    def person(self, name="Ada"):
        one = self.made("/v2/objects/people/records", {"values": {"name": {"first_name": name, "last_name": "B",
                                                                           "full_name": name + " B"}}}, "record_id")
        return {"object_id": self.people, "record_id": one}

    def attribute(self, target, slug, kind="text"):
        return self.made(f"/v2/{target}/attributes", {
            "title": slug, "description": None, "api_slug": slug, "type": kind, "is_required": False, "is_unique": False,
            "is_multiselect": False, "config": {}}, "attribute_id")

    def a_list(self, slug):
        member = self.attio("GET", "/v2/workspace_members")[0]["id"]["workspace_member_id"]
        return self.made("/v2/lists", {"name": slug, "api_slug": slug, "parent_object": "people", "workspace_access": "full-access",
                                       "workspace_member_access": [{"workspace_member_id": member, "level": "full-access"}]}, "list_id")

    # --- the delivery, and what came of it ---

    def sample(self, kind, ids):
        """The event of that type, of the shape that is documented, with these ids."""
        known = {"workspace_id": self.workspace, **ids}
        keys, extra = SHAPES[kind]
        return {"event_type": kind, "id": {k: known.get(k) or str(uuid.uuid4()) for k in keys},
                **{k: known.get(k) for k in extra}, "actor": {"type": "system", "id": None}}

    def send(self, kind, ids):
        """Delivers; the routes that were asked for until the event was done."""
        self.sim.control("POST", "/requests", {})
        key = str(uuid.uuid4())
        body = {"webhook_id": str(uuid.uuid4()), "events": [self.sample(kind, ids)]}
        self.assertEqual(self.server.deliver(body, key), (200, {"accepted": 1, "duplicate": 0}))

        def ended():
            with connect(self.server.db) as c:
                return c.execute("SELECT state FROM attiod_inbox WHERE dedupe = ?", (key,)).fetchone()[0] == DONE
        until(ended, f"{kind} done", 60, 0.02)
        self.assertEqual(self.server.deliver(body, key), (200, {"accepted": 0, "duplicate": 1}))
        asked = {f"{r['method']} {r['route']}" for r in self.sim.requests()["routes"]}
        asked.discard("GET /v2/self")  # health's own
        return asked

    def row(self, view, **where):
        """The one row, as a dictionary."""
        with connect(self.server.db) as c:
            c.row_factory = lambda cursor, r: {d[0]: v for d, v in zip(cursor.description, r)}
            names = " AND ".join(f"{k} = ?" for k in where)
            rows = c.execute(f'SELECT * FROM "{view}" WHERE {names}', tuple(where.values())).fetchall()
        self.assertEqual(len(rows), 1, f"{view} {where}")
        return rows[0]

    def columns(self, view):
        with connect(self.server.db) as c:
            return {n for n, in c.execute("SELECT name FROM pragma_table_info(?)", (view,))}

    def one(self, sql, *values):
        with connect(self.server.db) as c:
            return c.execute(sql, values).fetchone()[0]

    # --- records ---

    def test_records(self):
        ids = self.person()
        self.assertEqual(self.send("record.created", ids), {QUERY})
        self.assertEqual(self.row("people", record_id=ids["record_id"])["first_name"], "Ada")
        path = "/v2/objects/people/records/" + ids["record_id"]
        self.attio("PATCH", path, {"values": {"job_title": "Countess"}})
        self.assertEqual(self.send("record.updated", ids), {QUERY})
        self.assertEqual(self.row("people", record_id=ids["record_id"])["job_title"], "Countess")
        self.attio("DELETE", path)
        self.assertEqual(self.send("record.deleted", ids), {QUERY})  # Attio said so: no GET
        self.assertIsNotNone(self.row("people", record_id=ids["record_id"])["_deleted_at"])

    def test_record_merged(self):
        for vintage in ("new", "old"):
            with self.subTest(vintage=vintage):
                self.sim.control("POST", "/merge", {"vintage": vintage, "apply_ms": 0})
                a, b = self.person("Ada"), self.person("Bob")
                for ids in (a, b):
                    self.send("record.created", ids)
                new = self.attio("POST", "/v2/objects/people/records/merge", {
                    "primary_record_id": a["record_id"], "secondary_record_id": b["record_id"]})["new_record_id"]
                asked = self.send("record.merged", {"object_id": self.people, "record_id": new, "duplicate_object_id": self.people,
                                                    "duplicate_record_id": b["record_id"]})
                self.assertLessEqual({QUERY}, asked)
                self.assertLessEqual(asked, {QUERY, GET})
                self.assertIsNone(self.row("people", record_id=new)["_deleted_at"])
                self.assertIsNotNone(self.row("people", record_id=b["record_id"])["_deleted_at"])
                self.assertEqual(self.one("SELECT new_id FROM attiod_merge WHERE old_id = ?", b["record_id"]), new)
        self.sim.control("POST", "/merge", {"vintage": "new"})

    # --- entries ---

    def test_entries(self):
        parent = self.person()
        self.send("record.created", parent)
        list_id = next(v["id"]["list_id"] for v in self.attio("GET", "/v2/lists") if v["api_slug"] == "sales_pipeline")
        object_ = next(v["parent_object"][0] for v in self.attio("GET", "/v2/lists") if v["api_slug"] == "sales_pipeline")
        if object_ != "people":
            object_id, records = self.sim.state(object_)
            parent = {"object_id": object_id, "record_id": sorted(records)[0]}
        attribute = next(a for a in self.attio("GET", "/v2/lists/sales_pipeline/attributes")
                         if a["type"] in ("text", "number", "rating") and a["is_writable"])
        ids = {"list_id": list_id, "parent_object_id": parent["object_id"], "parent_record_id": parent["record_id"],
               "attribute_id": attribute["id"]["attribute_id"]}
        path = "/v2/lists/sales_pipeline/entries"
        ids["entry_id"] = self.made(path, {"parent_record_id": parent["record_id"], "parent_object": object_, "entry_values": {}},
                                    "entry_id")
        # Attio documents no filter by entry ids: the query, or a GET of each.
        some = {ENTRIES, "GET /v2/lists/{list}/entries/{entry}"}
        asked = self.send("list-entry.created", ids)
        self.assertTrue(asked and asked <= some, asked)
        self.assertEqual(self.row("list_sales_pipeline", entry_id=ids["entry_id"])["parent_record_id"], parent["record_id"])
        value = "now" if attribute["type"] == "text" else 3
        self.attio("PATCH", f"{path}/{ids['entry_id']}", {"entry_values": {attribute["api_slug"]: value}})
        asked = self.send("list-entry.updated", ids)
        self.assertTrue(asked and asked <= some, asked)
        self.assertEqual(self.row("list_sales_pipeline", entry_id=ids["entry_id"])[attribute["api_slug"]], value)
        self.attio("DELETE", f"{path}/{ids['entry_id']}")
        asked = self.send("list-entry.deleted", ids)
        self.assertTrue(asked and asked <= some, asked)
        self.assertIsNotNone(self.row("list_sales_pipeline", entry_id=ids["entry_id"])["_deleted_at"])

    # --- what hangs on records ---

    def test_notes(self):
        parent = self.person()
        ids = {"parent_object_id": parent["object_id"], "parent_record_id": parent["record_id"]}
        ids["note_id"] = self.made("/v2/notes", {"parent_object": "people", "parent_record_id": parent["record_id"], "title": "One",
                                                 "format": "plaintext", "content": "text"}, "note_id")
        get, path = {"GET /v2/notes/{note}"}, "/v2/notes/" + ids["note_id"]
        self.assertEqual(self.send("note.created", ids), get)
        row = self.row("notes", note_id=ids["note_id"])
        self.assertEqual((row["title"], row["parent_record_id"]), ("One", parent["record_id"]))
        self.attio("PATCH", path, {"title": "Two"})
        self.assertEqual(self.send("note.updated", ids), get)
        self.assertEqual(self.row("notes", note_id=ids["note_id"])["title"], "Two")
        self.attio("PATCH", path, {"content": "more", "format": "plaintext"})
        self.assertEqual(self.send("note-content.updated", ids), get)
        self.assertEqual(self.row("notes", note_id=ids["note_id"])["content_plaintext"], "more")
        self.attio("DELETE", path)
        self.assertLessEqual(self.send("note.deleted", ids), get)
        self.assertIsNotNone(self.row("notes", note_id=ids["note_id"])["_deleted_at"])

    def test_tasks(self):
        ids = {"task_id": self.made("/v2/tasks", {"content": "do", "format": "plaintext", "deadline_at": None, "is_completed": False,
                                                  "linked_records": [], "assignees": []}, "task_id")}
        get, path = {"GET /v2/tasks/{task}"}, "/v2/tasks/" + ids["task_id"]
        self.assertEqual(self.send("task.created", ids), get)
        self.assertEqual(self.row("tasks", **ids)["is_completed"], 0)
        self.attio("PATCH", path, {"is_completed": True})
        self.assertEqual(self.send("task.updated", ids), get)
        self.assertEqual(self.row("tasks", **ids)["is_completed"], 1)
        self.attio("DELETE", path)
        self.assertLessEqual(self.send("task.deleted", ids), get)
        self.assertIsNotNone(self.row("tasks", **ids)["_deleted_at"])

    def test_comments(self):
        place = self.person()
        member = self.attio("GET", "/v2/workspace_members")[0]["id"]["workspace_member_id"]
        one = self.made("/v2/comments", {"format": "plaintext", "content": "well", "author": {"type": "workspace-member", "id": member},
                                         "record": {"object": "people", "record_id": place["record_id"]}}, "comment_id")
        ids, get = {**place, "comment_id": one, "thread_id": one}, {"GET /v2/comments/{comment}"}
        self.assertEqual(self.send("comment.created", ids), get)
        row = self.row("comments", comment_id=one)
        self.assertEqual((row["content_plaintext"], row["record_id"], row["resolved_at"]), ("well", place["record_id"], None))
        for kind, resolved in (("comment.resolved", True), ("comment.unresolved", False)):
            self.sim.control("POST", "/comments/" + one, {"resolved": resolved})
            self.assertEqual(self.send(kind, ids), get)
            self.assertEqual(self.row("comments", comment_id=one)["resolved_at"] is not None, resolved)
        self.attio("DELETE", "/v2/comments/" + one)
        self.assertLessEqual(self.send("comment.deleted", ids), get)
        self.assertIsNotNone(self.row("comments", comment_id=one)["_deleted_at"])

    def test_members_and_call_recordings(self):
        before = {m["id"]["workspace_member_id"] for m in self.attio("GET", "/v2/workspace_members")}
        self.sim.control("POST", "/members", {})
        new, = {m["id"]["workspace_member_id"] for m in self.attio("GET", "/v2/workspace_members")} - before
        asked = self.send("workspace-member.created", {"workspace_member_id": new})
        self.assertEqual(asked, {"GET /v2/workspace_members/{member}"})
        self.assertEqual(self.row("workspace_members", workspace_member_id=new)["_deleted_at"], None)
        self.assertEqual(self.send("call-recording.created", {}), set())  # not mirrored: nothing to ask for

    # --- the schema ---

    def schema(self, kind, ids, what, condition):
        asked = self.send(kind, ids)
        self.assertLessEqual(SCHEMA, asked)
        until(condition, what, 60, 0.02)

    def test_lists_and_their_attributes(self):
        ids = {"list_id": self.a_list("newcomers")}
        self.schema("list.created", ids, "its view", lambda: "entry_id" in self.columns("list_newcomers"))
        self.attio("PATCH", "/v2/lists/newcomers", {"name": "Newest"})
        self.schema("list.updated", ids, "its name",
                    lambda: self.one("SELECT name FROM attiod_list WHERE list_id = ?", ids["list_id"]) == "Newest")
        ids["attribute_id"] = self.attribute("lists/newcomers", "rank", "number")
        self.schema("list-attribute.created", ids, "its column", lambda: "rank" in self.columns("list_newcomers"))
        self.attio("PATCH", "/v2/lists/newcomers/attributes/rank", {"is_archived": True})
        self.schema("list-attribute.updated", ids, "no column", lambda: "rank" not in self.columns("list_newcomers"))
        self.sim.control("DELETE", "/lists/newcomers")
        self.schema("list.deleted", ids, "no view", lambda: not self.columns("list_newcomers"))
        self.assertEqual(self.one("SELECT gone FROM attiod_list WHERE list_id = ?", ids["list_id"]), 1)

    def test_attributes_of_objects(self):
        ids = {"object_id": self.people, "attribute_id": self.attribute("objects/people", "shoe_size", "number")}
        self.schema("object-attribute.created", ids, "its column", lambda: "shoe_size" in self.columns("people"))
        self.attio("PATCH", "/v2/objects/people/attributes/shoe_size", {"title": "Size of shoe"})
        self.schema("object-attribute.updated", ids, "its title", lambda: self.one(
            "SELECT title FROM attiod_attribute WHERE attribute_id = ?", ids["attribute_id"]) == "Size of shoe")

    # --- the list of them ---

    def test_all_27_at_once_about_things_that_nobody_knows(self):
        path = os.environ.get("ATTIOD_WEBHOOK_EVENTS")
        events = [self.sample(kind, {}) for kind in SHAPES]
        self.assertEqual(len(events), 27)
        if path:
            events = self.samples(json.loads(pathlib.Path(path).read_text(encoding="utf-8")))
        key = str(uuid.uuid4())
        answer = self.server.deliver({"webhook_id": str(uuid.uuid4()), "events": events}, key)
        self.assertEqual(answer, (200, {"accepted": 27, "duplicate": 0}))

        def states():
            with connect(self.server.db) as c:
                return dict(c.execute("SELECT state, count(*) FROM attiod_inbox WHERE dedupe = ? GROUP BY state", (key,)))
        until(lambda: states() == {DONE: 27}, "each has its fate", 60, 0.05)

    def samples(self, file):
        """The file's events; that they are of our shapes, and that its signature is ours, is checked by the way."""
        self.assertEqual({e["event_type"]: (set(e["id"]), {k.removesuffix("|null") for k in e["extra"]})
                          for e in file["events"]},
                         {k: (set(i), set(e)) for k, (i, e) in SHAPES.items()})
        vector = file["signature_test_vector"]
        self.assertEqual(signed(vector["body"].encode(), vector["secret"])["Attio-Signature"], vector["attio_signature"])
        ids = {**file["sample_ids"], "workspace_id": self.workspace}
        return [self.sample(e["event_type"], ids) for e in file["events"]]


if __name__ == "__main__":
    unittest.main()
