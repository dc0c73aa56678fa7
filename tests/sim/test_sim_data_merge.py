"""attio-sim: merging records, in both vintages; scores of queries and what they may sum up to."""

import email.utils

from support.attiod import request, until
from support.sim_case import Receiver, SimTest


class MergeTest(SimTest):
    def merge(self, primary, secondary, slug="people"):
        return self.call("POST", f"/v2/objects/{slug}/records/merge", {"data": {
            "primary_record_id": primary["id"]["record_id"], "secondary_record_id": secondary["id"]["record_id"]}})

    def merged(self, primary, secondary, slug="people"):
        status, answer = self.merge(primary, secondary, slug)
        self.assertEqual(status, 200, answer)
        return answer["data"]["new_record_id"]

    def read(self, record_id, slug="people"):
        return self.data("GET", f"/v2/objects/{slug}/records/{record_id}")

    def gone(self, record, slug="people"):
        self.fails(404, "not_found", "Record with ID", "GET", f"/v2/objects/{slug}/records/{record['id']['record_id']}")

    def subscribe(self):
        receiver = Receiver()
        self.addCleanup(receiver.close)
        kinds = ("record.created", "record.updated", "record.deleted", "record.merged")
        self.data("POST", "/v2/webhooks", {"data": {"target_url": receiver.url, "subscriptions": [
            {"event_type": kind, "filter": None} for kind in kinds]}})
        return receiver

    def two(self):
        company = self.create("companies", domains=["merge-one.example"], name="One")
        other = self.create("companies", domains=["merge-two.example"], name="Two")
        a = self.create(name="Oak, Ann", email_addresses=["ann@merge.example"], job_title="Buyer",
                        company={"target_object": "companies", "target_record_id": company["id"]["record_id"]})
        b = self.create(name="Elm, Bob", email_addresses=["bob@merge.example"], description="From the second",
                        company={"target_object": "companies", "target_record_id": other["id"]["record_id"]})
        return a, b, company, other


class New(MergeTest):
    def test_both_become_a_third_record(self):
        a, b, company, other = self.two()
        receiver = self.subscribe()
        new = self.merged(a, b)
        self.assertNotIn(new, self.ids([a, b]))
        self.gone(a)
        self.gone(b)
        record = self.read(new)
        self.assertEqual(self.emails(record), ["ann@merge.example", "bob@merge.example"])
        value = record["values"]["name"][0]
        self.assertEqual((value["full_name"], value["active_from"]), ("Ann Oak", a["values"]["name"][0]["active_from"]))
        self.assertEqual(record["values"]["description"][0]["value"], "From the second")
        self.assertEqual(record["values"]["company"][0]["target_record_id"], company["id"]["record_id"])
        # The other sides follow: one names the new record, one lost its person.
        self.assertEqual([v["target_record_id"] for v in self.read(company["id"]["record_id"], "companies")["values"]["team"]], [new])
        self.assertEqual(self.read(other["id"]["record_id"], "companies")["values"]["team"], [])
        self.assertEqual(self.ids(self.query(filter={"email_addresses": "bob@merge.example"})), [new])
        until(lambda: len(receiver.got) >= 4, "two events of the merge, two of the companies")
        merged = [e for e in receiver.events() if e["event_type"] == "record.merged"]
        self.assertEqual({e["id"]["record_id"] for e in merged}, {new})
        self.assertEqual([e["duplicate_record_id"] for e in merged], self.ids([a, b]))
        self.assertEqual({e["duplicate_object_id"] for e in merged}, {a["id"]["object_id"]})
        updated = [e["id"]["record_id"] for e in receiver.events() if e["event_type"] == "record.updated"]
        self.assertEqual(sorted(updated), sorted(self.ids([company, other])))

    def test_it_is_not_idempotent(self):
        a, b, _, _ = self.two()
        self.merged(a, b)
        self.fails(404, "value_not_found", "^Record with ID", "POST", "/v2/objects/people/records/merge", {"data": {
            "primary_record_id": a["id"]["record_id"], "secondary_record_id": b["id"]["record_id"]}})

    def test_what_is_refused(self):
        a, _, company, _ = self.two()
        path = "/v2/objects/people/records/merge"
        self.assertEqual(self.merge(a, a)[1]["code"], "self_merge")
        self.assertEqual(self.merge(a, a)[0], 400)
        self.assertEqual(self.merge(a, company)[1]["code"], "value_not_found")
        answer = self.fails(400, "validation_type", "Body payload", "POST", path, {"data": {"primary_record_id": "x"}})
        self.assertEqual([e["path"] for e in answer["validation_errors"]], [["data", "secondary_record_id"]])

    def test_until_it_is_applied_it_cannot_be_read_or_written(self):
        a, b, _, _ = self.two()
        self.sim.control("POST", "/merge", {"apply_ms": 3600000})
        status, answer = self.merge(a, b)
        self.assertEqual(status, 202)
        new = answer["data"]["new_record_id"]
        path = "/v2/objects/people/records/" + new
        self.fails(404, "merge_in_progress", new, "GET", path)
        for method in ("PATCH", "PUT"):
            self.fails(400, "merge_in_progress", new, method, path, {"data": {"values": {"job_title": "x"}}})
        self.fails(400, "merge_in_progress", new, "DELETE", path)
        self.fails(400, "merge_in_progress", new, "PUT", "/v2/objects/people/records?matching_attribute=email_addresses",
                   {"data": {"values": {"email_addresses": ["bob@merge.example"]}}})
        self.gone(a)
        self.assertEqual(self.query(filter={"record_id": new}), [])
        self.assertEqual(self.query(filter={"email_addresses": "bob@merge.example"}), [])
        self.assertNotIn(new, self.sim.state("people")[1])
        self.assertEqual(self.sim.control("GET", "/merge")["in_progress"], 1)

    def test_then_it_can(self):
        a, b, _, _ = self.two()
        self.sim.control("POST", "/merge", {"apply_ms": 50})
        new = self.merge(a, b)[1]["data"]["new_record_id"]
        until(lambda: self.call("GET", "/v2/objects/people/records/" + new)[0] == 200, "the merge applied")
        self.assertEqual(self.ids(self.query(filter={"record_id": new})), [new])
        self.assertEqual(self.ids(self.query(sorts=[{"direction": "desc", "attribute": "created_at"}], limit=1)), [new])
        self.assertIn(new, self.sim.state("people")[1])

    def test_references_without_another_side_follow(self):
        a, b, _, _ = self.two()
        self.data("POST", "/v2/objects/deals/attributes", {"data": {
            "title": "Witness", "description": None, "api_slug": "witness", "type": "record-reference", "is_required": False,
            "is_unique": False, "is_multiselect": True, "config": {"record_reference": {"allowed_objects": ["people"]}}}})
        deal = self.query("deals", limit=1)[0]
        both = [{"target_object": "people", "target_record_id": r} for r in self.ids([a, b])]
        self.write("PATCH", deal, "deals", witness=both)
        new = self.merged(a, b)
        path = deal["id"]["record_id"]
        self.assertEqual([v["target_record_id"] for v in self.read(path, "deals")["values"]["witness"]], [new])
        receiver = self.subscribe()
        self.ok("DELETE", "/v2/objects/people/records/" + new)
        self.assertEqual(self.read(path, "deals")["values"]["witness"], [])
        until(lambda: {"record.deleted", "record.updated"} <= {e["event_type"] for e in receiver.events()}, "both events")

    def test_five_a_second(self):
        self.sim.control("POST", "/limits", {"on": True})
        people = self.query(limit=12)
        answers = [self.merge(people[i], people[i + 1])[0] for i in range(0, 12, 2)]
        self.assertEqual(answers[:5], [200] * 5)
        self.assertEqual(answers[5], 429)


class Old(MergeTest):
    extra = ("--limits", "off", "--merge", "old")

    def test_the_second_goes_into_the_first(self):
        a, b, _, _ = self.two()
        receiver = self.subscribe()
        self.assertEqual(self.merged(a, b), a["id"]["record_id"])
        self.gone(b)
        record = self.read(a["id"]["record_id"])
        self.assertEqual(self.emails(record), ["ann@merge.example", "bob@merge.example"])
        self.assertEqual(record["created_at"], a["created_at"])
        until(lambda: any(e["event_type"] == "record.merged" for e in receiver.events()), "the event")
        merged = [e for e in receiver.events() if e["event_type"] == "record.merged"]
        self.assertEqual([(e["id"]["record_id"], e["duplicate_record_id"]) for e in merged], [tuple(self.ids([a, b]))])

    def test_the_vintage_can_be_changed_while_running(self):
        a, b, _, _ = self.two()
        self.sim.control("POST", "/merge", {"vintage": "new"})
        self.assertNotIn(self.merged(a, b), self.ids([a, b]))
        self.assertEqual(request(self.sim.port, "POST", "/_sim/merge", {"vintage": "x"})[0], 400)


class Scores(SimTest):
    people, extra = 3000, ()

    def scored(self, **body):
        answer = self.raw("POST", "/v2/objects/people/records/query", {"limit": 1, **body})
        answer.read()
        return answer

    def score(self, **body):
        answer = self.scored(**body)
        self.assertEqual(answer.status, 200)
        return int(answer.getheader("x-attio-record-query-score"))

    def test_what_the_indexes_answer_is_free(self):
        self.assertEqual(self.score(), 0)
        self.assertEqual(self.score(filter={"created_at": {"$gte": "2021-01-01T00:00:00Z"}},
                                    sorts=[{"direction": "asc", "attribute": "created_at"}]), 0)

    def test_filters_sorts_and_paths_cost(self):
        plain = self.score(filter={"job_title": "Buyer"})
        self.assertEqual(plain, 3)
        self.assertGreater(self.score(filter={"job_title": {"$contains": "Buy"}}), plain)
        self.assertGreater(self.score(filter={"path": [["people", "company"], ["companies", "name"]], "constraints": "x"}), plain)
        self.assertGreater(self.score(filter={"job_title": "Buyer"}, sorts=[{"direction": "asc", "attribute": "name"}]), plain)

    def test_one_query_too_dear_is_refused_every_time(self):
        self.sim.control("POST", "/limits", {"score_query": 2})
        for _ in range(2):
            answer = self.scored(filter={"job_title": "Buyer"})
            self.assertEqual(answer.status, 429)
            self.assertEqual(answer.getheader("x-attio-record-query-score"), "3")
            self.assertTrue(email.utils.parsedate_to_datetime(answer.getheader("retry-after")))
        self.assertEqual(self.scored().status, 200)

    def test_the_sum_of_ten_seconds_is_bounded(self):
        self.sim.control("POST", "/limits", {"score_window": 7})
        answers = [self.scored(filter={"job_title": "Buyer"}).status for _ in range(3)]
        self.assertEqual(answers, [200, 200, 429])
        self.assertEqual(self.sim.control("GET", "/limits")["score_recent"], 6)




class Entries(MergeTest):
    extra = ("--limits", "off", "--lists", "1")

    def setUp(self):
        super().setUp()
        parent = self.data("GET", "/v2/lists")[0]
        self.list, self.slug = "/v2/lists/" + parent["api_slug"], parent["parent_object"][0]
        self.a, self.b = self.query(self.slug, limit=2)
        self.entry = self.data("POST", self.list + "/entries", {"data": {
            "parent_record_id": self.b["id"]["record_id"], "parent_object": self.slug, "entry_values": {}}})
        self.path = self.list + "/entries/" + self.entry["id"]["entry_id"]

    def test_they_go_along(self):
        new = self.merged(self.a, self.b, self.slug)
        self.assertEqual(self.data("GET", self.path)["parent_record_id"], new)
        entries = self.data("GET", f"/v2/objects/{self.slug}/records/{new}/entries")
        self.assertEqual([e["entry_id"] for e in entries], [self.entry["id"]["entry_id"]])

    def test_they_cannot_be_written_until_it_is_applied(self):
        self.sim.control("POST", "/merge", {"apply_ms": 3600000})
        status, answer = self.merge(self.a, self.b, self.slug)
        self.assertEqual(status, 202)
        self.assertEqual(self.data("GET", self.path)["parent_record_id"], answer["data"]["new_record_id"])
        for method in ("PATCH", "PUT"):
            self.fails(400, "merge_in_progress", answer["data"]["new_record_id"], method, self.path, {"data": {"entry_values": {}}})
        self.fails(400, "merge_in_progress", answer["data"]["new_record_id"], "DELETE", self.path)

    def test_a_list_attribute_changes_its_type(self):
        self.data("POST", self.list + "/attributes", {"data": {
            "title": "Size", "description": None, "api_slug": "size", "type": "text", "is_required": False, "is_unique": False,
            "is_multiselect": False, "config": {}}})
        self.data("PATCH", self.path, {"data": {"entry_values": {"size": "12"}}})
        self.sim.control("POST", "/attribute", {"list": self.list.rsplit("/", 1)[1], "attribute": "size", "type": "number"})
        self.assertEqual(self.data("GET", self.path)["entry_values"]["size"][0]["value"], 12)
