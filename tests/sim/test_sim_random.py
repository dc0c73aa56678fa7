"""attio-sim: what --lists, --entries, --notes, --tasks and --comments make up, and random edits of all of it."""

import json
import re

from support.attiod import request, until
from support.sim_case import Receiver, SimTest

KINDS = ("notes", "tasks", "comments")
LISTS = ("list:sales_pipeline", "list:candidates", "list:renewals", "list:sales_pipeline_2")


class Seeded(SimTest):
    extra = ("--limits", "off", "--rate-per-url", "0", "--lists", "4", "--entries", "40", "--notes", "30", "--tasks", "20",
             "--comments", "25")

    def everything(self, form=""):
        return {name: self.sim.control("GET", f"/state?object={name}{form}")["records"]
                for name in (*LISTS, *KINDS, "workspace_members", "people", "companies", "deals")}

    def test_so_many_as_was_asked_for(self):
        state = self.everything()
        self.assertEqual([len(state[n]) for n in LISTS], [10] * 4)
        self.assertEqual([len(state[n]) for n in KINDS], [30, 20, 25])
        self.assertEqual([lst["api_slug"] for lst in self.data("GET", "/v2/lists")], [n[5:] for n in LISTS])
        self.assertEqual({t for e in state["list:candidates"] for t, v in e["values"].items() if v} -
                         {"entry_id", "created_at", "created_by"},
                         {"stage", "owner", "deal_value", "priority", "tags", "due", "summary", "advisor"})
        people = {r["record_id"] for r in state["people"]}
        self.assertTrue({e["parent_record_id"] for e in state["list:candidates"]} <= people)
        self.assertTrue(any(c["thread_id"] != c["id"]["comment_id"] for c in state["comments"]), "some answer")
        self.assertTrue(any(c["entry"] for c in state["comments"]), "some are on entries")

    def test_what_is_listed_is_what_is_there(self):
        def ids(items, key):
            return sorted(i["id"][key] for i in items)
        state = self.everything()
        self.assertEqual(ids(self.data("GET", "/v2/notes?limit=50"), "note_id"), ids(state["notes"], "note_id"))
        self.assertEqual(ids(self.data("GET", "/v2/tasks"), "task_id"), ids(state["tasks"], "task_id"))
        comments = []
        places = [f"object={slug}&record_id={r['record_id']}" for slug in ("people", "companies", "deals") for r in state[slug]]
        places += [f"list={n[5:]}&entry_id={e['entry_id']}" for n in LISTS for e in state[n]]
        for place in places:
            for thread in self.data("GET", "/v2/threads?limit=50&" + place):
                comments += thread["comments"]
        self.assertEqual(ids(comments, "comment_id"), ids(state["comments"], "comment_id"))
        for name in LISTS:
            entries = self.data("POST", f"/v2/lists/{name[5:]}/entries/query", {})
            self.assertEqual(ids(entries, "entry_id"), [e["entry_id"] for e in state[name]])

    def test_the_same_seed_makes_the_same(self):
        first = self.everything()
        lists = self.data("GET", "/v2/lists")
        self.assertEqual(self.sim.stop(), 0)
        super().setUp()
        self.assertEqual(self.everything(), first)
        self.assertEqual(self.data("GET", "/v2/lists"), lists)

    def run_edits(self, **body):
        self.sim.control("POST", "/edit", body)
        until(lambda: not self.sim.control("GET", "/edit")["running"], "the end of the edits", 20)

    def test_the_same_seed_changes_the_same(self):
        def run():
            self.run_edits(per_second=400, seconds=0.5, objects=["all"])
            return re.sub(r"20\d\d-\d\d-\d\dT[0-9:.]*Z", "", json.dumps(self.everything("&form=compact")))
        first = run()
        self.assertEqual(self.sim.stop(), 0)
        super().setUp()
        self.assertEqual(run(), first)

    def test_edits_of_some_leave_others(self):
        before = self.everything()
        done = self.sim.control("POST", "/edit", {"count": 60, "objects": ["list:candidates", "notes", "tasks", "comments"]})
        self.assertEqual(done["edits"] + done["inserts"] + done["deletes"], 60)
        after = self.everything()
        for name, was in before.items():
            (self.assertNotEqual if name in (*KINDS, "list:candidates") else self.assertEqual)(after[name], was, name)

    def test_each_change_is_told(self):
        target = Receiver()
        self.addCleanup(target.close)
        events = {"list:candidates": ("list-entry.created", "list-entry.updated", "list-entry.deleted"),
                  "notes": ("note.created", "note.updated", "note-content.updated", "note.deleted"),
                  "tasks": ("task.created", "task.updated", "task.deleted"),
                  "comments": ("comment.created", "comment.resolved", "comment.unresolved", "comment.deleted")}
        self.data("POST", "/v2/webhooks", {"data": {"target_url": target.url, "subscriptions": [
            {"event_type": e, "filter": None} for kinds in events.values() for e in kinds]}})
        for name, kinds in events.items():
            target.got.clear()
            for kind in ("insert", "edit", "delete"):
                self.sim.control("POST", "/edit", {"count": 10, "objects": [name], "kinds": [kind]})
            until(lambda: self.sim.control("GET", "/deliveries")["pending"] == 0, "none pending")
            self.assertEqual({e["event_type"] for e in target.events()}, set(kinds), name)

    def test_a_mirror_built_from_events_and_reads_equals_the_state(self):
        target = Receiver()
        self.addCleanup(target.close)
        kinds = ("note.created", "note.updated", "note-content.updated", "note.deleted")
        self.data("POST", "/v2/webhooks", {"data": {"target_url": target.url, "subscriptions": [
            {"event_type": e, "filter": None} for e in kinds]}})
        mirror = {n["id"]["note_id"]: n for n in self.sim.control("GET", "/state?object=notes")["records"]}
        self.run_edits(per_second=200, seconds=0.5, objects=["notes", "people"])
        until(lambda: self.sim.control("GET", "/deliveries")["pending"] == 0, "none pending")
        for event in target.events():
            note = event["id"]["note_id"]
            status, answer = self.call("GET", "/v2/notes/" + note)
            mirror.pop(note, None)
            if status == 200:
                mirror[note] = answer["data"]
        self.assertEqual([mirror[k] for k in sorted(mirror)], self.sim.control("GET", "/state?object=notes")["records"])

    def test_edits_of_a_list_that_goes_away(self):
        self.sim.control("POST", "/edit", {"per_second": 200, "seconds": 0.3, "objects": ["list:candidates"]})
        self.sim.control("DELETE", "/lists/candidates")
        until(lambda: not self.sim.control("GET", "/edit")["running"], "the end of the edits", 20)
        self.assertEqual(request(self.sim.port, "GET", "/_sim/state?object=list:candidates")[0], 404)

    def test_what_is_refused(self):
        for bad in ("list:none", "list:people", "cats"):
            self.assertEqual(request(self.sim.port, "POST", "/_sim/edit", {"count": 1, "objects": [bad]})[0], 400)


class CustomObjects(SimTest):
    def test_a_made_up_object_is_edited_by_its_types(self):
        self.data("POST", "/v2/objects", {"data": {"api_slug": "boats", "singular_noun": "Boat", "plural_noun": "Boats"}})
        for kind in ("text", "number", "checkbox", "currency", "date", "timestamp", "rating", "select", "actor-reference",
                     "record-reference"):
            self.data("POST", "/v2/objects/boats/attributes", {"data": {
                "title": kind, "description": None, "api_slug": kind, "type": kind, "is_required": kind == "text",
                "is_unique": kind == "text", "is_multiselect": kind == "select", "config": {}}})
        self.data("POST", "/v2/objects/boats/attributes/select/options", {"data": {"title": "Red"}})
        self.sim.control("POST", "/edit", {"count": 30, "objects": ["boats"], "kinds": ["insert"]})
        done = self.sim.control("POST", "/edit", {"count": 30, "objects": ["boats"]})
        self.assertEqual(done["edits"] + done["inserts"] + done["deletes"], 60)
        boats = self.query("boats")
        self.assertEqual(len(boats), done["inserts"] - done["deletes"])
        self.assertEqual({s for b in boats for s, v in b["values"].items() if v} - {"record_id", "created_at", "created_by"},
                         {"text", "number", "checkbox", "currency", "date", "timestamp", "rating", "select", "actor-reference",
                          "record-reference"})


class NothingToHangOn(SimTest):
    people, companies, deals = 0, 0, 0
    extra = ("--limits", "off", "--lists", "2", "--entries", "5", "--notes", "5", "--tasks", "5", "--comments", "5")

    def test_what_needs_a_record_is_left_out(self):
        counts = [len(self.sim.control("GET", f"/state?object={n}")["records"]) for n in ("list:candidates", *KINDS)]
        self.assertEqual(counts, [0, 0, 5, 0])
        self.sim.control("POST", "/edit", {"count": 5, "objects": ["notes", "list:candidates"]})
