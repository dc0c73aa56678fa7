"""attio-sim: notes, tasks, comments and their threads, workspace members, and what becomes of them with their record."""

import uuid

from support.attiod import request, until
from support.sim_case import Receiver, SimTest

NOBODY = str(uuid.UUID(int=1))


class ActivityTest(SimTest):
    def setUp(self):
        super().setUp()
        self.person, self.other = self.query(limit=2)
        self.members = [m["id"]["workspace_member_id"] for m in self.data("GET", "/v2/workspace_members")]

    def rid(self, record):
        return record["id"]["record_id"]

    def subscribe(self, *kinds):
        self.target = Receiver()
        self.addCleanup(self.target.close)
        self.data("POST", "/v2/webhooks", {"data": {"target_url": self.target.url, "subscriptions": [
            {"event_type": kind, "filter": None} for kind in kinds]}})

    def events(self, n):
        until(lambda: self.sim.control("GET", "/deliveries")["pending"] == 0, "none pending")
        self.assertEqual(len(self.target.got), n, self.target.events())
        return self.target.events()

    def types(self, n):
        return [e["event_type"] for e in self.events(n)]

    def refused(self, path, good, status, code, message, kind="POST", **change):
        data = {k: v for k, v in {**good, **change}.items() if v != "missing"}
        return self.fails(status, code, message, kind, path, {"data": data})

    def each_is_required(self, path, good):
        for key in good:
            answer = self.refused(path, good, 400, "validation_type", "^Body payload validation error.$", **{key: "missing"})
            self.assertEqual(answer["validation_errors"][0]["path"][:2], ["data", key])

    def state(self, name):
        return self.sim.control("GET", "/state?object=" + name)["records"]

    def merge(self, primary, secondary):
        return self.data("POST", "/v2/objects/people/records/merge", {"data": {
            "primary_record_id": self.rid(primary), "secondary_record_id": self.rid(secondary)}})["new_record_id"]


class Notes(ActivityTest):
    def fields(self, record=None, **more):
        return {"parent_object": "people", "parent_record_id": self.rid(record or self.person), "title": "Call",
                "format": "plaintext", "content": "One\nTwo", **more}

    def note(self, record=None, **more):
        return self.data("POST", "/v2/notes", {"data": self.fields(record, **more)})

    def path(self, note):
        return "/v2/notes/" + note["id"]["note_id"]

    def test_life_of_a_note(self):
        self.subscribe("note.created", "note.updated", "note-content.updated", "note.deleted")
        made = self.note()
        self.assertEqual(set(made), {"id", "parent_object", "parent_record_id", "title", "meeting_id", "content_plaintext",
                                     "content_markdown", "tags", "created_by_actor", "created_at"})
        self.assertEqual((made["title"], made["content_plaintext"], made["meeting_id"], made["tags"]), ("Call", "One\nTwo", None, []))
        self.assertEqual(self.data("GET", self.path(made)), made)
        titled = self.data("PATCH", self.path(made), {"data": {"title": "Talk"}})
        self.assertEqual(titled, {**made, "title": "Talk"})
        written = self.data("PATCH", self.path(made), {"data": {"content": "New", "format": "plaintext"}})
        self.assertEqual((written["content_plaintext"], written["title"]), ("New", "Talk"))
        self.data("PATCH", self.path(made), {"data": {"title": "Talk", "content": "New", "format": "plaintext"}})
        self.assertEqual(self.ok("DELETE", self.path(made)), {})
        for method in ("GET", "DELETE"):
            self.fails(404, "not_found", '^Note with ID ".*" was not found.$', method, self.path(made))
        self.fails(404, "not_found", "Note with ID", "PATCH", self.path(made), {"data": {"title": "x"}})
        self.assertEqual(self.types(4), ["note.created", "note.updated", "note-content.updated", "note.deleted"])
        for e in self.events(4):
            self.assertEqual(set(e), {"event_type", "id", "actor", "parent_object_id", "parent_record_id"})
            self.assertEqual(e["id"], made["id"])
            self.assertEqual((e["parent_object_id"], e["parent_record_id"]), (self.person["id"]["object_id"], self.rid(self.person)))

    def test_markdown(self):
        note = self.note(format="markdown", content="# Head\n* item\n**bold** and ~~gone~~")
        self.assertEqual(note["content_markdown"], "# Head\n* item\n**bold** and ~~gone~~")
        self.assertEqual(note["content_plaintext"], "Head\n* item\nbold and gone")

    def test_text_is_kept_byte_by_byte(self):
        text = 'NUL \0, quotes " and \\, Grüße, \U0001f600, a tab\t'
        self.assertEqual(self.data("GET", self.path(self.note(content=text, title=text)))["content_plaintext"], text)

    def test_what_is_refused(self):
        good = self.fields()
        self.each_is_required("/v2/notes", good)
        self.refused("/v2/notes", good, 400, "validation_type", "Body payload", format="html")
        for bad in ("1969-12-31T00:00:00Z", "2999-01-01T00:00:00Z", "yesterday", 5):
            self.refused("/v2/notes", good, 400, "validation_type", "Body payload", created_at=bad)
        self.refused("/v2/notes", good, 404, "not_found", '^Object with slug/ID "cats" not found.$', parent_object="cats")
        self.refused("/v2/notes", good, 404, "not_found", f'^Record with ID "{NOBODY}" not found.$', parent_record_id=NOBODY)
        self.refused("/v2/notes", good, 404, "not_found", "Meeting", meeting_id=NOBODY)
        self.refused("/v2/notes", good, 413, "validation_type", "too large", content="x" * (1 << 20) + "y")
        path = self.path(self.note())
        self.fails(400, "validation_type", "^You passed an empty payload.", "PATCH", path, {"data": {}})
        answer = self.fails(400, "validation_type", "Body payload", "PATCH", path, {"data": {"content": "x"}})
        self.assertEqual(answer["validation_errors"][0]["path"], ["data", "format"])

    def test_pages(self):
        made = [self.note(title=str(i), record=self.person if i % 3 else self.other) for i in range(12)]
        self.assertEqual(self.data("GET", "/v2/notes"), made[:10])
        self.assertEqual(self.data("GET", "/v2/notes?limit=50"), made)
        self.assertEqual(self.data("GET", "/v2/notes?limit=5&offset=10"), made[10:])
        of = f"/v2/notes?parent_object=people&parent_record_id={self.rid(self.other)}"
        self.assertEqual(self.data("GET", of), made[::3])
        self.assertEqual(self.data("GET", of + "&offset=3"), made[9::3])
        self.assertEqual(self.data("GET", "/v2/notes?parent_object=companies"), [])
        for bad in ("limit=0", "limit=51", "offset=-1", f"parent_record_id={NOBODY}", "parent_object=people&parent_record_id=x"):
            self.fails(400, "validation_type", "^Query params validation error.$", "GET", "/v2/notes?" + bad)
        self.fails(404, "not_found", "Object with slug/ID", "GET", "/v2/notes?parent_object=cats")
        self.fails(404, "not_found", "Record with ID", "GET", f"/v2/notes?parent_object=people&parent_record_id={NOBODY}")

    def test_a_backdated_note_is_listed_where_it_belongs(self):
        now = self.note()
        old = self.note(created_at="2020-01-02T03:04:05Z")
        self.assertEqual(old["created_at"], "2020-01-02T03:04:05.000000000Z")
        self.assertEqual(self.data("GET", "/v2/notes"), [old, now])

    def test_with_the_record_the_note_goes(self):
        self.note()
        kept = self.note(self.other)
        self.subscribe("note.deleted", "record.deleted")
        self.ok("DELETE", "/v2/objects/people/records/" + self.rid(self.person))
        self.assertEqual(self.types(2), ["note.deleted", "record.deleted"])
        self.assertEqual(self.state("notes"), [kept])

    def test_a_merge_takes_notes_along(self):
        note = self.note()
        new = self.merge(self.other, self.person)
        self.assertEqual(self.data("GET", self.path(note)), {**note, "parent_record_id": new})

    def test_state(self):
        made = [self.note(title=str(i)) for i in range(4)]
        self.assertEqual(self.state("notes"), sorted(made, key=lambda n: n["id"]["note_id"]))
        self.assertEqual(self.state(f"notes&limit=2&after={self.state('notes')[0]['id']['note_id']}"), self.state("notes")[1:3])
        for bad in ("after=x", "limit=0"):
            self.assertEqual(request(self.sim.port, "GET", "/_sim/state?object=notes&" + bad)[0], 400)
        self.assertEqual(request(self.sim.port, "GET", "/_sim/state?object=list:none")[0], 404)


class Tasks(ActivityTest):
    def fields(self, **more):
        return {"content": "Call back", "format": "plaintext", "deadline_at": None, "is_completed": False, "linked_records": [],
                "assignees": [], **more}

    def task(self, **more):
        return self.data("POST", "/v2/tasks", {"data": self.fields(**more)})

    def path(self, task):
        return "/v2/tasks/" + task["id"]["task_id"]

    def link(self, record):
        return {"target_object": "people", "target_record_id": self.rid(record)}

    def assignee(self, n):
        return {"referenced_actor_type": "workspace-member", "referenced_actor_id": self.members[n]}

    def test_life_of_a_task(self):
        self.subscribe("task.created", "task.updated", "task.deleted")
        made = self.task(deadline_at="2027-01-02T03:04:05Z", linked_records=[self.link(self.person)], assignees=[self.assignee(1)])
        self.assertEqual(set(made), {"id", "content_plaintext", "deadline_at", "is_completed", "completed_at", "linked_records",
                                     "assignees", "created_by_actor", "created_at"})
        self.assertEqual((made["content_plaintext"], made["deadline_at"]), ("Call back", "2027-01-02T03:04:05.000000000Z"))
        self.assertEqual(made["linked_records"], [{"target_object_id": "people", "target_record_id": self.rid(self.person)}])
        self.assertEqual(made["assignees"], [self.assignee(1)])
        self.assertEqual(self.data("GET", self.path(made)), made)
        done = self.data("PATCH", self.path(made), {"data": {"is_completed": True}})
        self.assertIsNotNone(done["completed_at"])
        self.assertEqual(done, {**made, "is_completed": True, "completed_at": done["completed_at"]})
        self.data("PATCH", self.path(made), {"data": {"is_completed": True}})
        bare = self.data("PATCH", self.path(made), {"data": {"deadline_at": None, "linked_records": [], "assignees": []}})
        self.assertEqual((bare["deadline_at"], bare["linked_records"], bare["assignees"]), (None, [], []))
        self.assertEqual(self.ok("DELETE", self.path(made)), {})
        for method in ("GET", "DELETE"):
            self.fails(404, "not_found", '^Could not find Task with ID ".*".$', method, self.path(made))
        self.fails(404, "not_found", "Could not find Task", "PATCH", self.path(made), {"data": {"is_completed": True}})
        self.assertEqual(self.types(4), ["task.created", "task.updated", "task.updated", "task.deleted"])
        for e in self.events(4):
            self.assertEqual((set(e), e["id"]), ({"event_type", "id", "actor"}, made["id"]))

    def test_other_ways_to_name_records_and_people(self):
        email = self.person["values"]["email_addresses"][0]["email_address"]
        address = self.data("GET", "/v2/workspace_members")[2]["email_address"]
        made = self.task(linked_records=[{"target_object": "people", "email_addresses": [{"email_address": email}]}, self.link(self.person)],
                         assignees=[{"workspace_member_email_address": address}, self.assignee(2)])
        self.assertEqual(made["linked_records"], [{"target_object_id": "people", "target_record_id": self.rid(self.person)}])
        self.assertEqual(made["assignees"], [self.assignee(2)])

    def test_what_is_refused(self):
        good = self.fields()
        self.each_is_required("/v2/tasks", good)
        bad_values = [{"format": "markdown"}, {"content": "ü" * 2001}, {"deadline_at": "soon"}, {"is_completed": "no"},
                      {"linked_records": [{"target_object": "people"}]}, {"linked_records": ["x"]},
                      {"linked_records": [{"target_object": "people", "target_record_id": "x"}]},
                      {"assignees": [{"referenced_actor_type": "api-token", "referenced_actor_id": NOBODY}]}, {"assignees": [{}]}]
        path = self.path(self.task(content="ü" * 2000))
        for bad in bad_values:
            self.refused("/v2/tasks", good, 400, "validation_type", "^Body payload validation error.$", **bad)
            if not set(bad) & {"format", "content"}:
                self.refused(path, {}, 400, "validation_type", "Body payload", "PATCH", **bad)
        member = {"referenced_actor_type": "workspace-member", "referenced_actor_id": NOBODY}
        self.refused("/v2/tasks", good, 400, "value_not_found", f'^Workspace member with ID "{NOBODY}" not found.$', assignees=[member])
        self.refused("/v2/tasks", good, 400, "value_not_found", "Workspace member with email address", assignees=[
            {"workspace_member_email_address": "nobody@example.com"}])
        self.refused("/v2/tasks", good, 404, "not_found", '^Object with slug/ID "cats" not found.$',
                     linked_records=[{"target_object": "cats", "target_record_id": NOBODY}])
        self.refused("/v2/tasks", good, 404, "not_found", "^Record with ID",
                     linked_records=[{"target_object": "people", "target_record_id": NOBODY}])
        self.refused("/v2/tasks", good, 400, "value_not_found", "No attribute was found",
                     linked_records=[{"target_object": "people", "job_title": [{"value": "x"}]}])
        self.refused("/v2/tasks", good, 404, "not_found", "Record matching",
                     linked_records=[{"target_object": "people", "email_addresses": [{"email_address": "no@where.example"}]}])
        self.data("POST", "/v2/lists", {"data": {"name": "L", "api_slug": "l", "parent_object": "people",
                                                 "workspace_access": "full-access", "workspace_member_access": []}})
        self.refused("/v2/tasks", good, 400, "validation_type", "^Only standard or custom object records can be linked to.$",
                     linked_records=[{"target_object": "l", "target_record_id": NOBODY}])
        for nothing in ({}, {"content": "x"}):
            self.fails(400, "validation_type", "^You passed an empty payload.", "PATCH", path, {"data": nothing})
        self.assertEqual(len(self.data("GET", "/v2/tasks")), 1)

    def test_lists_and_their_filters(self):
        a = self.task(content="a", linked_records=[self.link(self.person)], assignees=[self.assignee(1)])
        b = self.task(content="b", is_completed=True)
        c = self.task(content="c", linked_records=[self.link(self.person), self.link(self.other)])
        address = self.data("GET", "/v2/workspace_members")[1]["email_address"]
        for query, want in (("", [a, b, c]), ("sort=created_at:desc", [c, b, a]), ("sort=completed_at:asc", [b, a, c]),
                            ("sort=completed_at:desc", [b, a, c]), ("is_completed=true", [b]), ("is_completed=false", [a, c]),
                            (f"linked_object=people&linked_record_id={self.rid(self.person)}", [a, c]),
                            (f"linked_object=people&linked_record_id={self.rid(self.other)}", [c]),
                            ("assignee=" + self.members[1], [a]), ("assignee=" + address, [a]), ("assignee=null", [b, c]),
                            ("assignee=", [b, c]), ("limit=1&offset=1", [b]), ("offset=3", [])):
            self.assertEqual(self.data("GET", "/v2/tasks?" + query), want, query)
        for bad in ("sort=content", "is_completed=perhaps", "limit=0", "linked_object=people", f"linked_record_id={NOBODY}"):
            self.fails(400, "validation_type", "^Query params validation error.$", "GET", "/v2/tasks?" + bad)
        self.fails(400, "value_not_found", "Workspace member with ID", "GET", "/v2/tasks?assignee=" + NOBODY)
        self.fails(404, "not_found", "Record with ID", "GET", f"/v2/tasks?linked_object=people&linked_record_id={NOBODY}")

    def test_with_the_record_its_link_goes(self):
        task = self.task(linked_records=[self.link(self.person), self.link(self.other)])
        self.subscribe("task.updated", "task.deleted")
        self.ok("DELETE", "/v2/objects/people/records/" + self.rid(self.person))
        self.assertEqual(self.types(1), ["task.updated"])
        self.assertEqual([r["target_record_id"] for r in self.data("GET", self.path(task))["linked_records"]], [self.rid(self.other)])

    def test_a_merge_takes_links_along(self):
        task = self.task(linked_records=[self.link(self.person), self.link(self.other)])
        new = self.merge(self.person, self.other)
        self.assertEqual([r["target_record_id"] for r in self.data("GET", self.path(task))["linked_records"]], [new])
        self.assertEqual(self.state("tasks"), [self.data("GET", self.path(task))])


class Comments(ActivityTest):
    def setUp(self):
        super().setUp()
        self.data("POST", "/v2/lists", {"data": {"name": "L", "api_slug": "l", "parent_object": "people",
                                                 "workspace_access": "full-access", "workspace_member_access": []}})
        self.entry = self.data("POST", "/v2/lists/l/entries", {"data": {
            "parent_record_id": self.rid(self.person), "parent_object": "people", "entry_values": {}}})

    def fields(self, **where):
        return {"format": "plaintext", "content": "Hm.", "author": {"type": "workspace-member", "id": self.members[1]},
                **(where or {"record": {"object": "people", "record_id": self.rid(self.person)}})}

    def comment(self, **where):
        return self.data("POST", "/v2/comments", {"data": self.fields(**where)})

    def on_entry(self):
        return {"list": "l", "entry_id": self.entry["id"]["entry_id"]}

    def path(self, comment):
        return "/v2/comments/" + comment["id"]["comment_id"]

    def threads(self, record=None):
        return self.data("GET", f"/v2/threads?object=people&record_id={self.rid(record or self.person)}")

    def test_life_of_a_thread(self):
        self.subscribe("comment.created", "comment.resolved", "comment.unresolved", "comment.deleted")
        head = self.comment()
        self.assertEqual(set(head), {"id", "thread_id", "content_plaintext", "entry", "record", "resolved_at", "resolved_by",
                                     "created_at", "author"})
        self.assertEqual(head["thread_id"], head["id"]["comment_id"])
        self.assertEqual((head["entry"], head["resolved_at"], head["resolved_by"]), (None, None, None))
        self.assertEqual(head["record"], {"record_id": self.rid(self.person), "object_id": self.person["id"]["object_id"]})
        self.assertEqual(head["author"], {"type": "workspace-member", "id": self.members[1]})
        answer = self.comment(thread_id=head["thread_id"])
        self.assertEqual((answer["thread_id"], answer["record"]), (head["thread_id"], head["record"]))
        self.assertEqual(self.data("GET", self.path(answer)), answer)
        thread = self.data("GET", "/v2/threads/" + head["thread_id"])
        self.assertEqual(thread, {"id": {"workspace_id": head["id"]["workspace_id"], "thread_id": head["thread_id"]},
                                  "comments": [head, answer], "created_at": head["created_at"]})
        self.assertEqual(self.threads(), [thread])
        resolved = self.sim.control("POST", "/comments/" + head["id"]["comment_id"], {"resolved": True})["data"]
        self.assertIsNotNone(resolved["resolved_at"])
        self.assertEqual(resolved["resolved_by"]["type"], "workspace-member")
        self.sim.control("POST", "/comments/" + head["id"]["comment_id"], {"resolved": True})
        self.assertEqual(self.sim.control("POST", "/comments/" + head["id"]["comment_id"], {"resolved": False})["data"], head)
        self.assertEqual(self.ok("DELETE", self.path(head)), {}, "with the first one its thread goes")
        self.assertEqual(self.threads(), [])
        self.assertEqual(self.types(6), ["comment.created"] * 2 + ["comment.resolved", "comment.unresolved"] + ["comment.deleted"] * 2)
        for e in self.events(6):
            self.assertEqual(set(e), {"event_type", "id", "actor", "thread_id", "object_id", "record_id", "list_id", "entry_id"})
            self.assertEqual((e["thread_id"], e["object_id"], e["record_id"]),
                             (head["thread_id"], head["record"]["object_id"], head["record"]["record_id"]))
            self.assertEqual((e["list_id"], e["entry_id"]), (None, None))
        self.assertEqual([e["id"]["comment_id"] for e in self.events(6)[4:]], [answer["id"]["comment_id"], head["id"]["comment_id"]])

    def test_an_answer_goes_alone(self):
        head = self.comment()
        answer = self.comment(thread_id=head["thread_id"])
        self.ok("DELETE", self.path(answer))
        self.assertEqual(self.threads()[0]["comments"], [head])

    def test_on_an_entry(self):
        self.subscribe("comment.created")
        made = self.comment(entry=self.on_entry())
        self.assertEqual(made["entry"], {"entry_id": self.entry["id"]["entry_id"], "list_id": self.entry["id"]["list_id"]})
        self.assertEqual(made["record"]["record_id"], self.rid(self.person))
        self.assertEqual(self.threads(), [], "not one on the record")
        found = self.data("GET", f"/v2/threads?list=l&entry_id={self.entry['id']['entry_id']}")
        self.assertEqual([t["comments"] for t in found], [[made]])
        event = self.events(1)[0]
        self.assertEqual((event["list_id"], event["entry_id"]), (made["entry"]["list_id"], made["entry"]["entry_id"]))

    def test_what_is_refused(self):
        good = self.fields()
        self.each_is_required("/v2/comments", {k: v for k, v in good.items() if k != "record"})
        record = good["record"]

        def refused(status, code, message, **change):
            self.refused("/v2/comments", good, status, code, message, **change)
        refused(400, "validation_type", "Body payload", record="missing")
        refused(400, "validation_type", "Body payload", entry=self.on_entry())
        refused(400, "validation_type", "Body payload", record={"object": "people"})
        refused(400, "validation_type", "Body payload", format="markdown")
        refused(400, "validation_type", "Body payload", created_at="2999-01-01T00:00:00Z")
        refused(400, "validation_type", "Body payload", author={"type": "api-token", "id": self.members[0]})
        refused(400, "value_not_found", f'^Workspace member with ID "{NOBODY}" not found.$', author={"type": "workspace-member", "id": NOBODY})
        answer = self.comment(thread_id=self.comment()["thread_id"])
        for no_thread in (NOBODY, answer["id"]["comment_id"]):
            refused(400, "value_not_found", "^The referenced Thread could not be found, it might have been deleted.$",
                    record="missing", thread_id=no_thread)
        refused(404, "not_found", "^Object with slug/ID", record={**record, "object": "cats"})
        refused(404, "not_found", "^Record with ID", record={**record, "record_id": NOBODY})
        refused(404, "not_found", "^List with slug/ID", record="missing", entry={"list": "none", "entry_id": NOBODY})
        refused(404, "not_found", "^Entry with ID", record="missing", entry={"list": "l", "entry_id": NOBODY})
        self.fails(404, "not_found", f'^Comment with ID "{NOBODY}" was not found.$', "GET", "/v2/comments/" + NOBODY)
        self.fails(404, "not_found", f'^Could not find Comment with ID "{NOBODY}".$', "DELETE", "/v2/comments/" + NOBODY)
        self.fails(404, "not_found", f'^Thread with ID "{NOBODY}" was not found.$', "GET", "/v2/threads/" + NOBODY)
        self.fails(404, "not_found", "^Thread with ID", "GET", "/v2/threads/" + answer["id"]["comment_id"])
        self.assertEqual(request(self.sim.port, "POST", "/_sim/comments/" + NOBODY, {"resolved": True})[0], 404)
        self.assertEqual(request(self.sim.port, "POST", "/_sim" + self.path(answer)[3:], {})[0], 400)

    def test_pages_of_threads(self):
        heads = [self.comment() for _ in range(11)]
        of = f"/v2/threads?object=people&record_id={self.rid(self.person)}"
        ids = [h["thread_id"] for h in heads]
        self.assertEqual([t["id"]["thread_id"] for t in self.data("GET", of)], ids[:10])
        self.assertEqual([t["id"]["thread_id"] for t in self.data("GET", of + "&limit=2&offset=9")], ids[9:])
        for bad in ("limit=0", "limit=51"):
            self.fails(400, "validation_type", "Query params", "GET", f"{of}&{bad}")
        for bad in ("", "object=people", f"record_id={NOBODY}", "list=l", f"entry_id={NOBODY}"):
            self.fails(400, "validation_type", "^Query params validation error.$", "GET", "/v2/threads?" + bad)
        self.fails(404, "not_found", "Record with ID", "GET", f"/v2/threads?object=people&record_id={NOBODY}")
        self.fails(404, "not_found", "Entry with ID", "GET", f"/v2/threads?list=l&entry_id={NOBODY}")

    def test_with_the_record_its_comments_go(self):
        head = self.comment()
        self.comment(thread_id=head["thread_id"])
        self.comment(entry=self.on_entry())
        kept = self.comment(record={"object": "people", "record_id": self.rid(self.other)})
        self.subscribe("comment.deleted", "list-entry.deleted")
        self.ok("DELETE", "/v2/objects/people/records/" + self.rid(self.person))
        self.assertEqual(sorted(self.types(4)), ["comment.deleted"] * 3 + ["list-entry.deleted"])
        self.assertEqual(self.state("comments"), [kept])

    def test_a_merge_takes_comments_along(self):
        head = self.comment()
        on_entry = self.comment(entry=self.on_entry())
        new = self.merge(self.other, self.person)
        for comment in (head, on_entry):
            self.assertEqual(self.data("GET", self.path(comment)), {**comment, "record": {**comment["record"], "record_id": new}})


class Members(ActivityTest):
    def test_one_more(self):
        self.subscribe("workspace-member.created")
        made = self.sim.control("POST", "/members", {"email_address": "new@example.com", "access_level": "admin"})["data"]
        self.assertEqual(set(made), {"id", "first_name", "last_name", "avatar_url", "email_address", "access_level", "created_at"})
        self.assertEqual(self.data("GET", "/v2/workspace_members/" + made["id"]["workspace_member_id"]), made)
        self.assertEqual(self.data("GET", "/v2/workspace_members")[5:], [made])
        self.assertEqual(self.state("workspace_members"), self.data("GET", "/v2/workspace_members"))
        event = self.events(1)[0]
        self.assertEqual((set(event), event["id"]), ({"event_type", "id", "actor"}, made["id"]))
        task = self.data("POST", "/v2/tasks", {"data": {
            "content": "x", "format": "plaintext", "deadline_at": None, "is_completed": False, "linked_records": [],
            "assignees": [{"workspace_member_email_address": "new@example.com"}]}})
        self.assertEqual(task["assignees"][0]["referenced_actor_id"], made["id"]["workspace_member_id"])

    def test_what_is_refused(self):
        address = self.data("GET", "/v2/workspace_members")[0]["email_address"]
        for bad in ({"access_level": "king"}, {"email_address": address}):
            self.assertEqual(request(self.sim.port, "POST", "/_sim/members", bad)[0], 400)
        while len(self.data("GET", "/v2/workspace_members")) < 64:
            self.sim.control("POST", "/members")
        self.assertEqual(request(self.sim.port, "POST", "/_sim/members")[0], 400)
        self.fails(404, "not_found", f'^Workspace member with ID "{NOBODY}" not found.$', "GET", "/v2/workspace_members/" + NOBODY)

    def test_a_call_recording(self):
        self.subscribe("call-recording.created")
        made = self.sim.control("POST", "/call-recordings")["data"]
        event = self.events(1)[0]
        self.assertEqual(event["id"], {"workspace_id": self.person["id"]["workspace_id"], **made})
        self.assertEqual(set(event), {"event_type", "id", "actor"})
