"""attio-sim: lists, their attributes and entries."""

import uuid

from support.attiod import until
from support.sim_case import Receiver, SimTest

NOBODY = str(uuid.UUID(int=1))


class ListTest(SimTest):
    def make_list(self, slug="pipeline", parent="people", **more):
        return self.data("POST", "/v2/lists", {"data": {
            "name": "Pipeline", "api_slug": slug, "parent_object": parent, "workspace_access": "full-access",
            "workspace_member_access": [], **more}})

    def attribute(self, slug, kind, multi=False, of="pipeline", **more):
        return self.data("POST", f"/v2/lists/{of}/attributes", {"data": {
            "title": slug, "description": None, "api_slug": slug, "type": kind, "is_required": False, "is_unique": False,
            "is_multiselect": multi, "config": {}, **more}})

    def add(self, record, slug="pipeline", **values):
        return self.data("POST", f"/v2/lists/{slug}/entries", self.body(record, **values))

    def body(self, record, **values):
        return {"data": {"parent_record_id": record["id"]["record_id"], "parent_object": "people", "entry_values": values}}

    def path(self, entry, slug="pipeline"):
        return f"/v2/lists/{slug}/entries/{entry['id']['entry_id']}"

    def values(self, entry, slug):
        return [v["value"] for v in entry["entry_values"][slug]]

    def entry_query(self, **body):
        return self.data("POST", "/v2/lists/pipeline/entries/query", body)

    def entry_ids(self, entries):
        return [e["id"]["entry_id"] for e in entries]

    def subscribe(self, *kinds):
        receiver = Receiver()
        self.addCleanup(receiver.close)
        self.data("POST", "/v2/webhooks", {"data": {"target_url": receiver.url, "subscriptions": [
            {"event_type": kind, "filter": None} for kind in kinds]}})
        return receiver

    def events(self, receiver, n):
        until(lambda: self.sim.control("GET", "/deliveries")["pending"] == 0, "none pending")
        self.assertEqual(len(receiver.got), n)
        return receiver.events()


class Lists(ListTest):
    def test_there_are_none_at_first(self):
        self.assertEqual(self.data("GET", "/v2/lists"), [])

    def test_life_of_a_list(self):
        member = self.data("GET", "/v2/workspace_members")[1]["id"]["workspace_member_id"]
        made = self.make_list(workspace_access=None, workspace_member_access=[
            {"workspace_member_id": member, "level": "full-access"}])
        self.assertEqual(set(made), {"id", "api_slug", "name", "parent_object", "workspace_access",
                                     "workspace_member_access", "created_by_actor", "created_at"})
        self.assertEqual(set(made["id"]), {"workspace_id", "list_id"})
        self.assertEqual((made["parent_object"], made["workspace_access"]), (["people"], None))
        self.assertEqual(made["workspace_member_access"], [{"workspace_member_id": member, "level": "full-access"}])
        self.assertEqual(self.data("GET", "/v2/lists/pipeline"), made)
        self.assertEqual(self.data("GET", "/v2/lists/" + made["id"]["list_id"]), made)
        self.assertEqual(self.data("GET", "/v2/lists"), [made])
        changed = self.data("PATCH", "/v2/lists/pipeline", {"data": {"name": "Funnel", "api_slug": "funnel",
                                                                      "workspace_access": "read-only"}})
        self.assertEqual((changed["name"], changed["api_slug"], changed["workspace_access"]), ("Funnel", "funnel", "read-only"))
        self.assertEqual(changed["id"], made["id"])
        self.fails(404, "not_found", '^List with slug/ID "pipeline" not found.$', "GET", "/v2/lists/pipeline")

    def test_what_is_refused(self):
        full = {"name": "L", "api_slug": "l", "parent_object": "people", "workspace_access": "full-access",
                "workspace_member_access": []}

        def refused(status, code, message, **change):
            data = {k: v for k, v in {**full, **change}.items() if v != "missing"}
            return self.fails(status, code, message, "POST", "/v2/lists", {"data": data})
        for key in full:
            answer = refused(400, "validation_type", "Body payload", **{key: "missing"})
            self.assertEqual(answer["validation_errors"][0]["path"], ["data", key])
        refused(400, "validation_type", "Body payload", workspace_access="some")
        refused(400, "validation_type", "Body payload", workspace_member_access=[{"level": "full-access"}])
        refused(400, "validation_type", "Body payload",
                workspace_member_access=[{"workspace_member_id": NOBODY, "level": "some"}])
        refused(400, "validation_type", "full-access", workspace_access="read-only")
        refused(400, "value_not_found", f'^Workspace member with ID "{NOBODY}" not found.$',
                workspace_member_access=[{"workspace_member_id": NOBODY, "level": "full-access"}])
        refused(404, "not_found", '^Parent object with slug/ID "cats" not found.$', parent_object="cats")
        self.make_list()
        self.fails(409, "slug_conflict", '^A list with api_slug "pipeline" already exists.$', "POST", "/v2/lists",
                   {"data": {**full, "api_slug": "pipeline"}})
        self.fails(400, "validation_type", "full-access", "PATCH", "/v2/lists/pipeline", {"data": {"workspace_access": None}})
        self.make_list("other")
        self.fails(409, "slug_conflict", "already exists", "PATCH", "/v2/lists/other", {"data": {"api_slug": "pipeline"}})
        self.fails(404, "not_found", "List with slug/ID", "PATCH", "/v2/lists/none", {"data": {}})
        self.fails(404, "not_found", "Could not find endpoint", "DELETE", "/v2/lists/other")

    def test_events(self):
        target = self.subscribe("list.created", "list.updated", "list.deleted", "list-attribute.created", "list-attribute.updated")
        made = self.make_list()
        attribute = self.attribute("stage", "status")
        self.data("PATCH", "/v2/lists/pipeline/attributes/stage", {"data": {"title": "Stage"}})
        self.data("PATCH", "/v2/lists/pipeline", {"data": {"name": "Other"}})
        self.assertEqual(self.sim.control("DELETE", "/lists/pipeline"), {})
        events = self.events(target, 5)
        self.assertEqual([e["event_type"] for e in events], ["list.created", "list-attribute.created", "list-attribute.updated",
                                                             "list.updated", "list.deleted"])
        self.assertEqual([set(e) for e in events], [{"event_type", "id", "actor"}] * 5)
        self.assertEqual(events[0]["id"], made["id"])
        self.assertEqual(events[1]["id"], {**made["id"], "attribute_id": attribute["id"]["attribute_id"]})

    def test_a_deleted_list_is_gone_with_its_entries(self):
        self.make_list()
        person = self.query(limit=1)[0]
        self.add(person)
        self.sim.control("DELETE", "/lists/pipeline")
        self.assertEqual(self.data("GET", "/v2/lists"), [])
        self.assertEqual(self.data("GET", f"/v2/objects/people/records/{person['id']['record_id']}/entries"), [])
        self.make_list()
        self.assertEqual(self.entry_query(), [], "the same slug, another list")

    def test_attributes(self):
        made = self.make_list()
        attribute = self.attribute("stage", "status")
        self.assertEqual(attribute["id"]["object_id"], made["id"]["list_id"])
        slugs = [a["api_slug"] for a in self.data("GET", "/v2/lists/pipeline/attributes")]
        self.assertEqual(slugs, ["entry_id", "created_at", "created_by", "stage"])
        self.data("POST", "/v2/lists/pipeline/attributes/stage/statuses", {"data": {"title": "Lead"}})
        self.assertEqual([s["title"] for s in self.data("GET", "/v2/lists/pipeline/attributes/stage/statuses")], ["Lead"])

    def test_a_webhook_may_filter_by_a_list_that_exists(self):
        made = self.make_list()
        def post(value):
            return self.call("POST", "/v2/webhooks", {"data": {"target_url": "https://hooks.example/x", "subscriptions": [
                {"event_type": "list-entry.created", "filter": {"$and": [{"field": "id.list_id", "operator": "equals", "value": value}]}}]}})
        self.assertEqual(post(made["id"]["list_id"])[0], 200)
        for bad in (NOBODY, "pipeline"):
            self.assertEqual(post(bad)[1]["message"], "Related list not found")


class Entries(ListTest):
    def setUp(self):
        super().setUp()
        self.list = self.make_list()
        self.attribute("note", "text")
        self.attribute("amount", "number")
        self.attribute("tags", "select", multi=True)
        for tag in ("Hot", "Cold"):
            self.data("POST", "/v2/lists/pipeline/attributes/tags/options", {"data": {"title": tag}})
        self.person, self.other = self.query(limit=2)

    def tags(self, entry):
        return [v["option"]["title"] for v in entry["entry_values"]["tags"]]

    def test_create_and_read(self):
        entry = self.add(self.person, note="x", tags=["Hot"])
        self.assertEqual(set(entry), {"id", "parent_record_id", "parent_object", "created_at", "entry_values"})
        self.assertEqual(set(entry["id"]), {"workspace_id", "list_id", "entry_id"})
        self.assertEqual((entry["parent_record_id"], entry["parent_object"]), (self.person["id"]["record_id"], "people"))
        self.assertEqual((self.values(entry, "note"), self.tags(entry), entry["entry_values"]["amount"]), (["x"], ["Hot"], []))
        self.assertEqual(entry["entry_values"]["entry_id"][0]["value"], entry["id"]["entry_id"])
        self.assertEqual(self.data("GET", self.path(entry)), entry)
        self.assertNotEqual(self.add(self.person)["id"], entry["id"], "a record may be there twice")

    def test_what_create_refuses(self):
        good = self.body(self.person)["data"]
        path = "/v2/lists/pipeline/entries"
        for method in ("POST", "PUT"):
            for key in good:
                bad = {k: v for k, v in good.items() if k != key}
                answer = self.fails(400, "validation_type", "^Body payload validation error.$", method, path, {"data": bad})
                self.assertEqual(answer["validation_errors"][0]["path"], ["data", key])
            self.fails(400, "value_not_found", f'^Parent record with slug/ID "{NOBODY}" not found.$', method, path,
                       {"data": {**good, "parent_record_id": NOBODY}})
            self.fails(400, "value_not_found", '^Parent object with slug/ID "deals" not found.$', method, path,
                       {"data": {**good, "parent_object": "deals"}})
            self.fails(400, "value_not_found", 'Cannot find attribute with slug/ID "nope"', method, path,
                       {"data": {**good, "entry_values": {"nope": 1}}})
        self.fails(404, "not_found", '^Could not find list with slug/ID "none".$', "POST", "/v2/lists/none/entries", {"data": good})
        self.fails(404, "not_found", '^List with slug/ID "none" was not found.$', "PUT", "/v2/lists/none/entries", {"data": good})
        self.fails(404, "not_found", "Could not find endpoint", "GET", path)
        self.assertEqual(self.entry_query(), [])

    def test_assert_by_parent(self):
        path = "/v2/lists/pipeline/entries"
        made = self.data("PUT", path, self.body(self.person, note="x", tags=["Hot", "Cold"]))
        again = self.data("PUT", path, self.body(self.person, note="y", tags=["Cold"]))
        self.assertEqual(again["id"], made["id"])
        self.assertEqual((self.values(again, "note"), self.tags(again)), (["y"], ["Cold"]))
        self.assertNotEqual(self.data("PUT", path, self.body(self.other))["id"], made["id"])
        self.add(self.person)
        self.fails(400, "multiple_match_results", "^Multiple entries were founds for the given parent record.", "PUT", path,
                   self.body(self.person))

    def test_an_entry_of_another_list_is_none_of_ours(self):
        self.make_list("second")
        entry = self.add(self.person, "second")
        self.data("PUT", "/v2/lists/pipeline/entries", self.body(self.person))
        self.fails(404, "not_found", "^Entry with ID", "GET", self.path(entry))

    def test_patch_adds_in_front_and_put_replaces(self):
        entry = self.add(self.person, tags=["Hot"], note="x")
        patched = self.data("PATCH", self.path(entry), {"data": {"entry_values": {"tags": ["Cold"]}}})
        self.assertEqual((self.tags(patched), self.values(patched, "note")), (["Cold", "Hot"], ["x"]))
        put = self.data("PUT", self.path(entry), {"data": {"entry_values": {"tags": ["Cold"], "note": None}}})
        self.assertEqual((self.tags(put), put["entry_values"]["note"]), (["Cold"], []))

    def test_the_parent_cannot_change(self):
        entry = self.add(self.person)
        for method in ("PATCH", "PUT"):
            self.fails(400, "immutable_value", "^The parent record for a list entry cannot be updated once created.$", method,
                       self.path(entry), self.body(self.other))
            self.data(method, self.path(entry), self.body(self.person))

    def test_unknown_entries(self):
        for method, body in (("GET", None), ("PATCH", {"data": {"entry_values": {}}}), ("PUT", {"data": {"entry_values": {}}}),
                             ("DELETE", None)):
            for wrong in (NOBODY, "x"):
                self.fails(404, "not_found", f'^Entry with ID "{wrong}" not found.$', method, "/v2/lists/pipeline/entries/" + wrong, body)
            self.fails(404, "not_found", '^List with slug/ID "none" not found.$', method, f"/v2/lists/none/entries/{NOBODY}", body)

    def test_delete_leaves_the_record(self):
        entry = self.add(self.person)
        self.assertEqual(self.ok("DELETE", self.path(entry)), {})
        self.assertEqual(self.call("GET", self.path(entry))[0], 404)
        self.assertEqual(self.data("GET", "/v2/objects/people/records/" + self.person["id"]["record_id"]), self.person)

    def test_history_of_one_value(self):
        entry = self.add(self.person, note="x")
        self.data("PATCH", self.path(entry), {"data": {"entry_values": {"note": "y"}}})
        values = self.data("GET", self.path(entry) + "/attributes/note/values?show_historic=true")
        self.assertEqual([v["value"] for v in values], ["x", "y"])

    def test_query(self):
        entries = [self.add(self.person if i % 2 else self.other, note=f"n{i}", amount=i) for i in range(7)]
        ids = self.entry_ids(entries)
        self.assertEqual(self.entry_ids(self.entry_query()), ids)
        self.assertEqual(self.entry_query(limit=2, offset=3), entries[3:5])
        self.assertEqual(self.entry_query(offset=7), [])
        self.assertEqual(self.entry_ids(self.entry_query(filter={"amount": {"$gte": 5}})), ids[5:])
        self.assertEqual(self.entry_ids(self.entry_query(filter={"entry_id": {"$in": ids[1:3]}})), ids[1:3])
        self.assertEqual(self.entry_ids(self.entry_query(sorts=[{"direction": "desc", "attribute": "amount"}])), ids[::-1])
        email = self.person["values"]["email_addresses"][0]["email_address"]
        by_parent = {"path": [["pipeline", "parent_record"], ["people", "email_addresses"]],
                     "constraints": {"email_address": email}}
        self.assertEqual(self.entry_ids(self.entry_query(filter=by_parent)), ids[1::2])
        since = entries[4]["entry_values"]["created_at"][0]["value"]
        self.assertLessEqual(set(ids[4:]), set(self.entry_ids(self.entry_query(filter={"created_at": {"$gte": since}}))))
        self.fails(400, "filter_error", "^Error in filter.$", "POST", "/v2/lists/pipeline/entries/query", {"filter": {"nope": 1}})
        self.fails(404, "not_found", '^List with slug/ID "none" not found.$', "POST", "/v2/lists/none/entries/query", {})
        self.fails(400, "validation_type", "Body payload", "POST", "/v2/lists/pipeline/entries/query", {"limit": 501})

    def test_the_entries_of_a_record(self):
        self.make_list("second")
        entries = [self.add(self.person), self.add(self.person, "second"), self.add(self.person)]
        path = f"/v2/objects/people/records/{self.person['id']['record_id']}/entries"
        told = self.data("GET", path)
        self.assertEqual([e["entry_id"] for e in told], self.entry_ids(entries))
        self.assertEqual([e["list_api_slug"] for e in told], ["pipeline", "second", "pipeline"])
        self.assertEqual(set(told[0]), {"list_id", "list_api_slug", "entry_id", "created_at"})
        self.assertEqual(self.data("GET", path + "?limit=1&offset=1"), told[1:2])
        for bad in ("limit=0", "limit=1001", "offset=-1"):
            self.fails(400, "validation_type", "Query params", "GET", f"{path}?{bad}")
        self.fails(404, "not_found", "Record with ID", "GET", f"/v2/objects/people/records/{NOBODY}/entries")

    def test_events(self):
        target = self.subscribe("list-entry.created", "list-entry.updated", "list-entry.deleted")
        entry = self.add(self.person, note="x")
        self.data("PATCH", self.path(entry), {"data": {"entry_values": {"amount": 1, "note": "x"}}})
        self.ok("DELETE", self.path(entry))
        kept = self.add(self.person)
        self.ok("DELETE", "/v2/objects/people/records/" + self.person["id"]["record_id"])
        events = self.events(target, 5)
        self.assertEqual([e["event_type"].split(".")[1] for e in events],
                         ["created", "updated", "deleted", "created", "deleted"])
        people = self.person["id"]["object_id"]
        for e in events:
            self.assertEqual((e["parent_object_id"], e["parent_record_id"]), (people, self.person["id"]["record_id"]))
            self.assertEqual((e["id"]["list_id"], "attribute_id" in e["id"]), (self.list["id"]["list_id"], e["event_type"].endswith("updated")))
        self.assertEqual([e["id"]["entry_id"] for e in events], [entry["id"]["entry_id"]] * 3 + [kept["id"]["entry_id"]] * 2)

    def test_stale_reads(self):
        entry = self.add(self.person, note="x")
        self.sim.faults(kind="stale", stale_ms=60000)
        self.data("PATCH", self.path(entry), {"data": {"entry_values": {"note": "y"}}})
        self.assertEqual(self.data("GET", self.path(entry)), entry)
        self.ok("DELETE", self.path(entry))
        self.assertEqual(self.data("GET", self.path(entry)), entry)
        self.sim.faults(clear=True)
        self.assertEqual(self.call("GET", self.path(entry))[0], 404)

    def test_state(self):
        entries = [self.add(self.person, note=str(i)) for i in range(3)]
        state = self.sim.control("GET", "/state?object=list:pipeline")
        self.assertEqual(state["list_id"], self.list["id"]["list_id"])
        self.assertEqual([r["entry_id"] for r in state["records"]], sorted(self.entry_ids(entries)))
        values = {e["id"]["entry_id"]: e["entry_values"] for e in entries}
        for r in state["records"]:
            self.assertEqual((r["values"], r["parent_record_id"]), (values[r["entry_id"]], self.person["id"]["record_id"]))
        self.assertEqual(self.sim.control("GET", f"/state?object=list:pipeline&limit=1&after={state['records'][0]['entry_id']}")["records"],
                         state["records"][1:2])
