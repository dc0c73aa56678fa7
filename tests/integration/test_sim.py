# takes: 25
"""attio-sim answers as Attio does: paths, statuses, bodies, defaults, errors, limits, webhooks; and it obeys /_sim/."""

import email.utils
import hashlib
import hmac
import http.client
import json
import pathlib
import subprocess
import threading
import time
import unittest
import uuid

from support.attiod import API_KEY, BUILD, Sim, request, until
from support.sim_case import AUTH, Receiver, SimTest

SOURCE = pathlib.Path(__file__).resolve().parents[2]


class Workspace(SimTest):
    def test_self_is_a_bare_object(self):
        me = self.ok("GET", "/v2/self")
        self.assertTrue(me["active"])
        self.assertEqual((me["token_type"], me["exp"], me["sub"]), ("Bearer", None, me["workspace_id"]))

    def test_self_is_never_401(self):
        self.assertEqual(self.call("GET", "/v2/self", headers={"Authorization": "Bearer nobody-knows-me"}),
                         (200, {"active": False}))
        status, answer = self.call("GET", "/v2/self", headers={})
        self.assertEqual((status, answer["code"]), (400, "missing_value"))

    def test_an_unknown_token_is_401_elsewhere(self):
        status, answer = self.call("GET", "/v2/objects", headers={"Authorization": "Bearer nobody-knows-me"})
        self.assertEqual((status, answer["type"], answer["code"]), (401, "auth_error", "unauthorized"))
        self.assertIn("could not be found", answer["message"])

    def test_basic_with_the_token_as_user_works(self):
        import base64
        coded = base64.b64encode(f"{API_KEY}:".encode()).decode()
        self.assertEqual(self.call("GET", "/v2/objects", headers={"Authorization": "Basic " + coded})[0], 200)

    def test_an_unknown_endpoint_names_itself(self):
        answer = self.fails(404, "not_found", "Could not", "GET", "/v2/objects/people/records")
        self.assertEqual(answer["message"], 'Could not find endpoint "GET /v2/objects/people/records".')
        self.fails(404, "not_found", "Could not find endpoint", "DELETE", "/v2/objects")

    def test_headers(self):
        answer = self.raw("POST", "/v2/objects/people/records/query", {"limit": 1})
        self.assertEqual(answer.getheader("content-type"), "application/json; charset=utf-8")
        self.assertEqual(str(uuid.UUID(answer.getheader("x-attio-execution-id"))), answer.getheader("x-attio-execution-id"))
        self.assertRegex(answer.getheader("x-accurate-at"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}000Z$")
        self.assertEqual(answer.getheader("x-attio-record-query-score"), "0")

    def test_members_and_lists(self):
        members = self.data("GET", "/v2/workspace_members")
        self.assertEqual(len(members), 5)
        one = self.data("GET", "/v2/workspace_members/" + members[2]["id"]["workspace_member_id"])
        self.assertEqual(one, members[2])
        self.assertEqual(self.data("GET", "/v2/lists"), [])
        self.fails(404, "not_found", 'List with slug/ID "x" not found.', "GET", "/v2/lists/x")

    def test_a_body_that_is_not_json_is_a_validation_error(self):
        self.fails(400, "validation_type", "Body payload validation error.", "POST", "/v2/objects", b"{nonsense")


class Objects(SimTest):
    def test_the_standard_objects(self):
        self.assertEqual([o["api_slug"] for o in self.data("GET", "/v2/objects")], ["people", "companies", "deals"])
        one = self.data("GET", "/v2/objects/people")
        self.assertEqual(one, self.data("GET", "/v2/objects/" + one["id"]["object_id"]))
        self.fails(404, "not_found", '^Object with slug/ID "x" not found.$', "GET", "/v2/objects/x")

    def test_create_and_patch_an_object(self):
        body = {"data": {"api_slug": "boats", "singular_noun": "Boat", "plural_noun": "Boats"}}
        boats = self.data("POST", "/v2/objects", body)
        self.fails(409, "slug_conflict", "Failed to create object", "POST", "/v2/objects", body)
        attributes = self.data("GET", "/v2/objects/boats/attributes")
        self.assertEqual([a["api_slug"] for a in attributes], ["record_id", "created_at", "created_by"])
        changed = self.data("PATCH", "/v2/objects/boats", {"data": {"singular_noun": "Ship"}})
        self.assertEqual((changed["singular_noun"], changed["id"]), ("Ship", boats["id"]))
        self.fails(400, "validation_type", "You passed an empty payload", "PATCH", "/v2/objects/boats", {"data": {}})
        self.fails(409, "slug_conflict", "Failed to update", "PATCH", "/v2/objects/boats", {"data": {"api_slug": "people"}})
        answer = self.fails(400, "validation_type", "Body payload", "POST", "/v2/objects", {"data": {"api_slug": "x"}})
        self.assertEqual([e["path"] for e in answer["validation_errors"]],
                         [["data", "singular_noun"], ["data", "plural_noun"]])
        self.assertEqual(self.create("boats")["web_url"].split("/")[3:6], ["sim", "boats", "record"])

    def attribute(self, slug, kind, multi=False, unique=False, **more):
        return {"data": {"title": slug, "description": None, "api_slug": slug, "type": kind, "is_required": False,
                         "is_unique": unique, "is_multiselect": multi, "config": {}, **more}}

    def test_attributes(self):
        attributes = {a["api_slug"]: a for a in self.data("GET", "/v2/objects/people/attributes")}
        self.assertEqual(attributes["name"]["type"], "personal-name")
        self.assertTrue(attributes["email_addresses"]["is_unique"] and attributes["email_addresses"]["is_multiselect"])
        self.assertEqual(attributes["company"]["relationship"]["api_slug"], "team")
        self.assertEqual(set(attributes["name"]["config"]), {"currency", "record_reference"})
        page = self.data("GET", "/v2/objects/people/attributes?limit=2&offset=3")
        self.assertEqual([a["api_slug"] for a in page], ["name", "email_addresses"])
        self.fails(400, "system_edit_unauthorized", "Cannot update a System attribute.", "PATCH",
                   "/v2/objects/people/attributes/name", {"data": {"title": "x"}})
        self.fails(404, "not_found", '^Attribute with slug/ID "x" not found.$', "GET", "/v2/objects/people/attributes/x")

    def test_create_rename_and_archive_an_attribute(self):
        path = "/v2/objects/people/attributes"
        made = self.data("POST", path, self.attribute("score", "number"))
        self.fails(409, "slug_conflict", "same API slug", "POST", path, self.attribute("score", "number"))
        self.fails(400, "validation_type", "Body payload", "POST", path, self.attribute("n", "personal-name"))
        person = self.create(name="A, B", score=1.5)
        self.assertEqual(person["values"]["score"][0]["value"], 1.5)
        renamed = self.data("PATCH", path + "/score", {"data": {"api_slug": "points"}})
        self.assertEqual(renamed["id"], made["id"])
        read = self.data("GET", "/v2/objects/people/records/" + person["id"]["record_id"])
        self.assertEqual(read["values"]["points"][0]["value"], 1.5)
        self.data("PATCH", path + "/points", {"data": {"is_archived": True}})
        self.assertNotIn("points", [a["api_slug"] for a in self.data("GET", path)])
        self.assertIn("points", [a["api_slug"] for a in self.data("GET", path + "?show_archived=true")])

    def test_a_relationship_has_two_sides(self):
        body = self.attribute("boss", "record-reference", relationship={
            "object": "people", "title": "Reports", "api_slug": "reports", "is_multiselect": True})
        self.data("POST", "/v2/objects/people/attributes", body)
        boss, other = self.create(name="Boss"), self.create(name="Other")
        ref = {"target_object": "people", "target_record_id": boss["id"]["record_id"]}
        self.write("PATCH", other, boss=ref)
        read = self.data("GET", "/v2/objects/people/records/" + boss["id"]["record_id"])
        self.assertEqual(read["values"]["reports"][0]["target_record_id"], other["id"]["record_id"])

    def test_a_hostile_slug_stays_text(self):
        hostile = 'a"],"b":[\n\\'
        self.data("POST", "/v2/objects", {"data": {"api_slug": hostile, "singular_noun": "x", "plural_noun": "y"}})
        self.data("POST", "/v2/objects/people/attributes", self.attribute(hostile, "text"))
        person = self.create(**{hostile: "x\u0000y"})
        self.assertEqual(person["values"][hostile][0]["value"], "x\u0000y")
        thing = self.data("POST", "/v2/objects/a%22%5D%2C%22b%22%3A%5B%0A%5C/records", {"data": {"values": {}}})
        self.assertIn(hostile, thing["web_url"])
        self.fails(404, "not_found", "^Object with slug/ID", "GET", "/v2/objects/%FF%FE" + "%C3%A4" * 300)

    def test_options_and_statuses(self):
        path = "/v2/objects/companies/attributes/categories/options"
        option = self.data("POST", path, {"data": {"title": "Boats"}})
        self.assertIn(option, self.data("GET", path))
        self.fails(409, "slug_conflict", 'another select option with the title "Boats"', "POST", path, {"data": {"title": "Boats"}})
        self.data("PATCH", path + "/Boats", {"data": {"is_archived": True}})
        self.assertNotIn("Boats", [o["title"] for o in self.data("GET", path)])
        self.assertIn("Boats", [o["title"] for o in self.data("GET", path + "?show_archived=true")])
        self.fails(400, "value_not_found", 'option title "X"', "PATCH", path + "/X", {"data": {"title": "Y"}})
        stages = "/v2/objects/deals/attributes/stage/statuses"
        self.assertEqual([s["title"] for s in self.data("GET", stages)], ["Lead", "In Progress", "Won 🎉", "Lost"])
        status = self.data("POST", stages, {"data": {"title": "Later", "target_time_in_status": "P7D"}})
        self.assertEqual(status["target_time_in_status"], "P7D")
        self.fails(400, "validation_type", "This attribute is not a select attribute.", "GET",
                   "/v2/objects/people/attributes/name/options")
        self.fails(400, "validation_type", "This attribute is not a status attribute.", "GET",
                   "/v2/objects/people/attributes/name/statuses")


class Records(SimTest):
    def test_create_reads_back(self):
        person = self.create(name={"first_name": "Ann", "last_name": "Oak", "full_name": "Ann Oak"},
                             email_addresses=["Ann@Oak.Example"], phone_numbers=["+1 (555) 000-9999"])
        value = person["values"]["email_addresses"][0]
        self.assertEqual((value["original_email_address"], value["email_address"], value["email_domain"],
                          value["email_local_specifier"]), ("Ann@Oak.Example", "ann@oak.example", "oak.example", "ann"))
        self.assertEqual(person["values"]["phone_numbers"][0]["phone_number"], "+15550009999")
        self.assertEqual(person["values"]["description"], [])
        self.assertEqual(value["created_by_actor"]["type"], "api-token")
        self.assertIsNone(value["active_until"])
        self.assertRegex(value["active_from"], r"\.\d{3}000000Z$")
        path = "/v2/objects/people/records/" + person["id"]["record_id"]
        self.assertEqual(self.data("GET", path), person)
        self.assertEqual(self.ok("DELETE", path), {})
        self.fails(404, "not_found", "^Record with ID .* not found.$", "GET", path)

    def test_names_as_text(self):
        full = [self.create(name=n)["values"]["name"][0] for n in ("Oak, Ann", "Ann", "Oak, Ann, Dr.")]
        self.assertEqual([(n["first_name"], n["last_name"]) for n in full], [("Ann", "Oak"), ("Ann", ""), ("Ann, Dr.", "Oak")])
        answer = self.fails(400, "validation_type", "An invalid value was passed to attribute with slug \"name\".",
                            "POST", "/v2/objects/people/records", {"data": {"values": {"name": {}}}})
        self.assertEqual(len(answer["validation_errors"]), 3)
        self.assertEqual(answer["validation_errors"][0]["message"], "Required")

    def test_refused_values(self):
        path = "/v2/objects/people/records"
        for values, code, message in (
                ({"nothing": 1}, "value_not_found", 'Cannot find attribute with slug/ID "nothing".'),
                ({"email_addresses": "a@b.example"}, "validation_type", "An invalid value"),
                ({"email_addresses": ["not an address"]}, "validation_type", "An invalid value"),
                ({"job_title": ["a", "b"]}, "validation_type", "An invalid value"),
                ({"job_title": 5}, "validation_type", "An invalid value"),
                ({"created_at": "2020-01-01"}, "validation_type", "not writable")):
            self.fails(400, code, message, "POST", path, {"data": {"values": values}})
        answer = self.fails(400, "validation_type", "Body payload", "POST", path, {"data": {}})
        self.assertEqual(answer["validation_errors"][0]["path"], ["data", "values"])

    def test_a_unique_value_is_held_once(self):
        held = self.emails(self.query(limit=1)[0])[0]
        answer = self.fails(400, "uniqueness_conflict", "conflicts with one already in the system", "POST",
                            "/v2/objects/people/records", {"data": {"values": {"email_addresses": [held.upper()]}}})
        self.assertIn('The value "{\\"email_address\\":\\"', answer["message"])

    def test_required_values(self):
        self.fails(400, "missing_value", 'Required value for attribute with ID "', "POST", "/v2/objects/deals/records",
                   {"data": {"values": {"name": "x"}}})
        member = self.data("GET", "/v2/workspace_members")[0]
        deal = self.create("deals", name="x", stage="Lead", owner=member["email_address"], value="12.5")
        self.assertEqual(deal["values"]["value"][0]["currency_value"], 12.5)
        self.assertEqual(deal["values"]["stage"][0]["status"]["title"], "Lead")
        self.fails(400, "missing_value", "Required value", "PATCH", "/v2/objects/deals/records/" + deal["id"]["record_id"],
                   {"data": {"values": {"name": None}}})
        self.fails(400, "value_not_found", 'Cannot find status attribute with status option title "Nope".', "PATCH",
                   "/v2/objects/deals/records/" + deal["id"]["record_id"], {"data": {"values": {"stage": "Nope"}}})

    def test_patch_adds_in_front_and_put_replaces(self):
        person = self.create(email_addresses=["a@x.example", "b@x.example"])
        person = self.write("PATCH", person, email_addresses=["c@x.example", "a@x.example"])
        self.assertEqual(self.emails(person), ["c@x.example", "a@x.example", "b@x.example"])
        kept = {v["email_address"]: v["active_from"] for v in person["values"]["email_addresses"]}
        person = self.write("PUT", person, email_addresses=["b@x.example", "d@x.example"])
        self.assertEqual(self.emails(person), ["b@x.example", "d@x.example"])
        self.assertEqual(person["values"]["email_addresses"][0]["active_from"], kept["b@x.example"])
        self.assertEqual(self.emails(self.write("PATCH", person, email_addresses=[])), ["b@x.example", "d@x.example"])
        self.assertEqual(self.emails(self.write("PUT", person, email_addresses=[])), [])

    def test_assert_finds_or_creates(self):
        path = "/v2/objects/companies/records?matching_attribute=domains"
        first = self.data("PUT", path, {"data": {"values": {"domains": ["oak.example"], "name": "Oak", "categories": ["SaaS", "B2B"]}}})
        again = self.data("PUT", path, {"data": {"values": {"domains": ["OAK.example", "elm.example"], "categories": ["B2C"]}}})
        self.assertEqual(again["id"], first["id"])
        self.assertEqual([d["domain"] for d in again["values"]["domains"]], ["elm.example", "oak.example"])
        self.assertEqual([o["option"]["title"] for o in again["values"]["categories"]], ["B2C"])
        self.assertEqual(again["values"]["name"][0]["value"], "Oak")
        third = self.data("PUT", path, {"data": {"values": {"domains": ["elm.example"]}}})
        self.assertEqual(len(third["values"]["domains"]), 2, "the matching attribute loses nothing")

    def test_assert_needs_its_parameter(self):
        path = "/v2/objects/people/records"
        answer = self.fails(400, "validation_type", "Query params validation error.", "PUT", path, {"data": {"values": {}}})
        self.assertEqual(answer["validation_errors"][0]["path"], ["matching_attribute"])
        self.fails(400, "value_not_found", 'No attribute was found for matching_attribute slug/ID "job_title".', "PUT",
                   path + "?matching_attribute=job_title", {"data": {"values": {}}})
        self.fails(400, "missing_value", "Required value", "PUT", path + "?matching_attribute=email_addresses", {"data": {"values": {}}})

    def test_references_follow_on_both_sides(self):
        oak, elm = self.create("companies", domains=["oak.example"]), self.create("companies", domains=["elm.example"])
        person = self.create(name="P", company="oak.example")
        self.write("PATCH", person, company={"target_object": "companies", "target_record_id": elm["id"]["record_id"]})

        def team(company):
            read = self.data("GET", "/v2/objects/companies/records/" + company["id"]["record_id"])
            return [v["target_record_id"] for v in read["values"]["team"]]
        self.assertEqual((team(oak), team(elm)), ([], self.ids([person])))
        self.write("PUT", oak, "companies", team=[{"target_object": "people", "email_addresses": [{"email_address": self.emails(self.query(limit=1)[0])[0]}]}])
        self.assertEqual(len(team(oak)), 1)
        self.ok("DELETE", "/v2/objects/people/records/" + person["id"]["record_id"])
        self.assertEqual(team(elm), [])
        self.fails(400, "value_not_found", "not found", "PATCH", "/v2/objects/companies/records/" + oak["id"]["record_id"],
                   {"data": {"values": {"team": [{"target_object": "people", "target_record_id": str(uuid.uuid4())}]}}})

    def test_history_of_one_attribute(self):
        person = self.create(job_title="one")
        for title in ("two", "three"):
            self.write("PATCH", person, job_title=title)
        path = f"/v2/objects/people/records/{person['id']['record_id']}/attributes/"
        self.assertEqual([v["value"] for v in self.data("GET", path + "job_title/values")], ["three"])
        history = self.data("GET", path + "job_title/values?show_historic=true")
        self.assertEqual([v["value"] for v in history], ["one", "two", "three"])
        self.assertEqual([v["active_until"] is None for v in history], [False, False, True])
        self.assertEqual(len(self.data("GET", path + "job_title/values?show_historic=true&limit=1&offset=1")), 1)
        self.fails(400, "validation_type", "COMINT", "GET", path + "last_interaction/values?show_historic=true")
        self.assertEqual(self.data("GET", f"/v2/objects/people/records/{person['id']['record_id']}/entries"), [])


class Queries(SimTest):
    people, companies, deals = 1230, 40, 30

    def test_pages_cover_everything_once(self):
        seen, offset = [], 0
        while True:
            page = self.query(offset=offset)
            seen += self.ids(page)
            offset += len(page)
            if len(page) < 500:
                break
        self.assertEqual((len(seen), len(set(seen))), (1230, 1230))
        self.assertEqual(len(self.query(limit=7, offset=1228)), 2)
        self.assertEqual(self.query(offset=5000), [])
        for bad in ({"limit": 501}, {"limit": 0}, {"offset": -1}, {"limit": "x"}):
            self.fails(400, "validation_type", "Body payload", "POST", "/v2/objects/people/records/query", bad)

    def test_keyset_by_created_at(self):
        sorts = [{"direction": "asc", "attribute": "created_at"}]
        everything = [r for o in range(0, 1230, 500) for r in self.query(sorts=sorts, offset=o)]
        times = [r["created_at"] for r in everything]
        self.assertEqual(times, sorted(times))
        self.assertLess(len(set(times)), len(times), "there are ties")
        some = times[700]
        rest = self.query(sorts=sorts, filter={"created_at": {"$gte": some}})
        self.assertEqual(rest[0]["created_at"], some)
        self.assertEqual(self.ids(rest), [r["id"]["record_id"] for r in everything if r["created_at"] >= some][:500])
        self.assertEqual(self.ids(self.query(sorts=sorts, filter={"created_at": {"$gte": some}}, offset=10, limit=5)), self.ids(rest)[10:15])
        before = self.query(filter={"created_at": {"$lt": some, "$gte": times[690]}})
        self.assertTrue(all(times[690] <= r["created_at"] < some for r in before) and before)
        down = self.query(sorts=[{"direction": "desc", "attribute": "created_at"}], limit=3)
        self.assertEqual([r["created_at"] for r in down], times[::-1][:3])

    def test_by_record_id(self):
        wanted = self.ids(self.query(limit=30, offset=100))
        body = {"record_id": {"$in": wanted + [str(uuid.uuid4())]}}
        self.assertEqual(sorted(self.ids(self.query(filter=body))), sorted(wanted))
        self.assertEqual(self.ids(self.query(filter={"record_id": wanted[0]})), wanted[:1])
        self.fails(400, "filter_error", "Error in filter.", "POST", "/v2/objects/people/records/query",
                   {"filter": {"record_id": {"$in": ["x"]}}})

    def check(self, slug, body, truth):
        everything = [r for o in range(0, 1500, 500) for r in self.query(slug, offset=o)]
        got = [r for o in range(0, 1500, 500) for r in self.query(slug, filter=body, offset=o)]
        want = [r["id"]["record_id"] for r in everything if truth(r["values"])]
        self.assertEqual(self.ids(got), want, body)
        self.assertTrue(0 < len(want) < len(everything), (body, len(want)))

    def test_operators(self):
        def names(v, key="full_name"):
            return [n[key] for n in v["name"]]

        def title(v):
            return v["job_title"][0]["value"] if v["job_title"] else ""
        one = self.query(limit=1, offset=17)[0]
        full, first = names(one["values"])[0], names(one["values"], "first_name")[0]
        self.check("people", {"name": full}, lambda v: full in names(v))
        self.check("people", {"name": {"first_name": {"$eq": first}}}, lambda v: first in names(v, "first_name"))
        self.check("people", {"name": {"first_name": first, "last_name": {"$contains": "a"}}},
                   lambda v: first in names(v, "first_name") and "a" in names(v, "last_name")[0].lower())
        self.check("people", {"email_addresses": self.emails(one)[0]}, lambda v: self.emails(one)[0] in [e["email_address"] for e in v["email_addresses"]])
        self.check("people", {"job_title": {"$contains": "LEAD"}}, lambda v: "lead" in title(v).lower())
        self.check("people", {"job_title": {"$starts_with": "D"}}, lambda v: title(v).startswith("D"))
        self.check("people", {"job_title": {"$ends_with": "Fellow"}}, lambda v: title(v).endswith("Fellow"))
        self.check("people", {"job_title": {"$in": ["Founder", "Buyer"]}}, lambda v: title(v) in ("Founder", "Buyer"))
        self.check("people", {"job_title": {"$not_empty": True}}, lambda v: v["job_title"])
        self.check("people", {"$not": {"phone_numbers": {"$not_empty": True}}}, lambda v: not v["phone_numbers"])
        self.check("people", {"$or": [{"job_title": "Founder"}, {"$and": [{"primary_location": {"country_code": "US"}}, {"$not": {"job_title": "Buyer"}}]}]},
                   lambda v: title(v) == "Founder" or (v["primary_location"] and v["primary_location"][0]["country_code"] == "US" and title(v) != "Buyer"))

    def test_numbers_dates_options_and_references(self):
        self.check("companies", {"funding_raised_usd": {"$gte": 5000000, "$lt": "90000000"}},
                   lambda v: v["funding_raised_usd"] and 5e6 <= v["funding_raised_usd"][0]["currency_value"] < 9e7)
        self.check("companies", {"foundation_date": {"$gt": "1990"}}, lambda v: v["foundation_date"] and v["foundation_date"][0]["value"] > "1990-01-01")
        self.check("companies", {"categories": "SaaS"}, lambda v: "SaaS" in [o["option"]["title"] for o in v["categories"]])
        self.check("companies", {"domains": {"root_domain": {"$ends_with": "example"}, "domain": {"$starts_with": "b"}}},
                   lambda v: any(d["domain"].startswith("b") for d in v["domains"]))
        self.check("deals", {"stage": "Lead"}, lambda v: v["stage"][0]["status"]["title"] == "Lead")
        owner = self.query("deals", limit=1)[0]["values"]["owner"][0]["referenced_actor_id"]
        self.check("deals", {"owner": {"referenced_actor_type": "workspace-member", "referenced_actor_id": owner}},
                   lambda v: v["owner"][0]["referenced_actor_id"] == owner)
        company = next(r for r in self.query() if r["values"]["company"])["values"]["company"][0]["target_record_id"]
        self.check("people", {"company": {"target_object": "companies", "target_record_id": company}},
                   lambda v: company in [c["target_record_id"] for c in v["company"]])
        stem = self.query("companies", limit=1)[0]["values"]["name"][0]["value"]
        inside = {r["id"]["record_id"] for r in self.query("companies", filter={"name": stem})}
        self.check("people", {"path": [["people", "company"], ["companies", "name"]], "constraints": {"value": stem}},
                   lambda v: inside & {c["target_record_id"] for c in v["company"]})

    def test_filters_that_make_no_sense(self):
        for bad in ({"nothing": 1}, {"name": {"$lt": "x"}}, {"job_title": {"$regex": "x"}}, {"$and": {}}, {"$xor": []},
                    {"created_at": {"$gte": "2020-01-01"}}, {"name": {"nickname": "x"}}, {"name": {}},
                    {"path": [["companies", "name"]], "constraints": {"value": "x"}}):
            self.fails(400, "filter_error", "^Error in filter.$", "POST", "/v2/objects/people/records/query", {"filter": bad})
        deep = {"job_title": "Founder"}
        for _ in range(70):
            deep = {"$not": deep}
        self.assertEqual(self.call("POST", "/v2/objects/people/records/query", {"filter": deep})[0], 400)

    def test_sorts(self):
        got = self.query(sorts=[{"direction": "asc", "attribute": "name", "field": "last_name"},
                                {"direction": "desc", "attribute": "name", "field": "first_name"}])
        keys = [(r["values"]["name"][0]["last_name"], [-ord(c) for c in r["values"]["name"][0]["first_name"]]) for r in got]
        self.assertEqual([k[0] for k in keys], sorted(k[0] for k in keys))
        for a, b in zip(got, got[1:]):
            a, b = a["values"]["name"][0], b["values"]["name"][0]
            if a["last_name"] == b["last_name"]:
                self.assertGreaterEqual(a["first_name"], b["first_name"])
        values = [r["values"]["value"][0]["currency_value"] for r in self.query("deals", sorts=[{"direction": "desc", "attribute": "value"}]) if r["values"]["value"]]
        self.assertEqual(values, sorted(values, reverse=True))
        by_company = self.query("deals", sorts=[{"direction": "asc", "path": [["deals", "associated_company"], ["companies", "name"]]}])
        self.assertEqual(len(by_company), 30)
        self.fails(400, "validation_type", "Body", "POST", "/v2/objects/people/records/query",
                   {"sorts": [{"direction": "up", "attribute": "name"}]})


class Limits(SimTest):
    extra = ()

    def burst(self, n, method, path, body=None):
        c = http.client.HTTPConnection("127.0.0.1", self.sim.port, timeout=10)
        answers = []
        for _ in range(n):
            c.request(method, path, None if body is None else json.dumps(body), AUTH)
            answer = c.getresponse()
            answers.append((answer.status, answer.getheader("Retry-After"), answer.getheader("Date"), answer.read()))
        c.close()
        return answers

    def test_writes_are_limited_to_25_a_second_and_reads_are_another_lane(self):
        answers = self.burst(40, "POST", "/v2/objects/people/records", {"data": {"values": {}}})
        refused = [a for a in answers if a[0] == 429]
        self.assertGreaterEqual(len(refused), 1)
        self.assertLessEqual(sum(a[0] == 200 for a in answers[:26]), 25)
        status, retry_after, date, body = refused[0]
        self.assertEqual(json.loads(body), {"status_code": 429, "type": "rate_limit_error", "code": "rate_limit_exceeded",
                                            "message": "Rate limit exceeded, please try again later"})
        wait = email.utils.parsedate_to_datetime(retry_after) - email.utils.parsedate_to_datetime(date)
        self.assertIn(wait.total_seconds(), (1, 2))
        self.assertEqual(self.call("GET", "/v2/self")[0], 200)
        trace = self.sim.requests()
        self.assertEqual(trace["rate_limited"], sum(a[0] == 429 for a in answers))
        until(lambda: self.call("POST", "/v2/objects/people/records", {"data": {"values": {}}})[0] == 200, "the window slides", 5)

    def test_reads_are_limited_to_100_a_second(self):
        answers = self.burst(160, "GET", "/v2/self")
        self.assertIn(429, [a[0] for a in answers])
        self.assertEqual([a[0] for a in answers[:100]], [200] * 100)


class Webhooks(SimTest):
    def setUp(self):
        super().setUp()
        self.target = Receiver()
        self.addCleanup(self.target.close)

    def hook(self, *types, filter=None, url=None):
        return self.data("POST", "/v2/webhooks", {"data": {
            "target_url": url or self.target.url,
            "subscriptions": [{"event_type": t, "filter": filter} for t in types]}})

    def test_life_of_a_webhook(self):
        made = self.hook("record.created")
        self.assertRegex(made["secret"], "^[0-9a-f]{64}$")
        path = "/v2/webhooks/" + made["id"]["webhook_id"]
        read = self.data("GET", path)
        self.assertNotIn("secret", read)
        self.assertEqual(read, {k: v for k, v in made.items() if k != "secret"})
        self.assertEqual(read["status"], "active")
        self.assertEqual(self.data("GET", "/v2/webhooks"), [read])
        changed = self.data("PATCH", path, {"data": {"subscriptions": [{"event_type": "note.created", "filter": None}]}})
        self.assertEqual(changed["subscriptions"], [{"event_type": "note.created", "filter": None}])
        self.assertEqual(self.ok("DELETE", path), {})
        self.fails(404, "not_found", "^Webhook with ID .* was not found.$", "GET", path)
        self.fails(404, "not_found", "^Webhook not found$", "DELETE", path)

    def test_what_is_refused(self):
        def post(url="https://hooks.example/x", **sub):
            return {"data": {"target_url": url, "subscriptions": [sub]}}
        answer = self.fails(400, "validation_type", "Body payload", "POST", "/v2/webhooks", post(event_type="record.created"))
        self.assertEqual(answer["validation_errors"][0]["path"], ["data", "subscriptions", 0, "filter"])
        for bad in (post("http://hooks.example/x", event_type="record.created", filter=None),
                    post("ftp://127.0.0.1/", event_type="record.created", filter=None),
                    post(event_type="record.exploded", filter=None),
                    post(event_type="record.created", filter={}),
                    post(event_type="record.created", filter={"$not": []}),
                    post(event_type="record.created", filter={"$and": [{"field": "id.object_id", "operator": "like", "value": "x"}]}),
                    post(event_type="record.created", filter={"$and": [{"$or": []}]})):
            self.fails(400, "validation_type", "Body payload", "POST", "/v2/webhooks", bad)
        self.fails(400, "validation_type", "Related list not found", "POST", "/v2/webhooks",
                   post(event_type="list-entry.created", filter={"$and": [{"field": "id.list_id", "operator": "equals", "value": str(uuid.uuid4())}]}))
        self.fails(400, "validation_type", "Query params", "GET", "/v2/webhooks?limit=5")

    def test_subscriptions_are_unique(self):
        a = {"field": "id.object_id", "operator": "equals", "value": "x"}
        b = {"value": "y", "field": "actor.id", "operator": "not_equals"}
        self.hook("record.created", filter={"$and": [a, b]})
        body = {"data": {"target_url": self.target.url, "subscriptions": [{"event_type": "record.created", "filter": {"$and": [b, a]}}]}}
        self.fails(409, "uniqueness_conflict", "^Each subscription must have a unique combination of target URL, event type and filter.$",
                   "POST", "/v2/webhooks", body)
        self.hook("record.created", filter={"$or": [a, b]})

    def test_deliveries_are_signed_and_name_one_changed_attribute_each(self):
        hook = self.hook("record.created", "record.updated", "record.deleted")
        person = self.create(name="Ann", job_title="x")
        self.write("PATCH", person, job_title="y", description="z", email_addresses=["ann@oak.example"])
        self.write("PATCH", person, job_title="y")
        self.ok("DELETE", "/v2/objects/people/records/" + person["id"]["record_id"])
        until(lambda: len(self.target.got) >= 5, "all five deliveries")
        until(lambda: self.sim.control("GET", "/deliveries")["pending"] == 0, "none pending")
        self.assertEqual(len(self.target.got), 5, "what was written again as it was is no event")
        for _, headers, body in self.target.got:
            want = hmac.new(hook["secret"].encode(), body, hashlib.sha256).hexdigest()
            self.assertEqual((headers["Attio-Signature"], headers["X-Attio-Signature"]), (want, want))
            self.assertEqual(headers["Content-Type"], "application/json")
            self.assertEqual(json.loads(body)["webhook_id"], hook["id"]["webhook_id"])
        self.assertEqual(len({h["Idempotency-Key"] for _, h, _ in self.target.got}), 5)
        events = sorted(self.target.events(), key=lambda e: e["event_type"])
        self.assertEqual([e["event_type"] for e in events], ["record.created", "record.deleted"] + ["record.updated"] * 3)
        self.assertEqual(set(events[0]["id"]), {"workspace_id", "object_id", "record_id"})
        self.assertEqual({e["id"]["record_id"] for e in events}, {person["id"]["record_id"]})
        self.assertEqual(len({e["id"]["attribute_id"] for e in events[2:]}), 3)
        self.assertEqual(events[0]["actor"]["type"], "api-token")

    def test_both_sides_of_a_relationship_are_told(self):
        company = self.create("companies", domains=["oak.example"])
        person = self.create(name="Ann")
        self.hook("record.updated")
        self.write("PATCH", person, company="oak.example")
        until(lambda: len(self.target.got) >= 2, "two events")
        self.assertEqual({e["id"]["record_id"] for e in self.target.events()}, set(self.ids([person, company])))

    def test_filters(self):
        people = self.data("GET", "/v2/objects/people")["id"]["object_id"]
        self.hook("record.created", filter={"$and": [{"field": "id.object_id", "operator": "equals", "value": people}]})
        other = Receiver()
        self.addCleanup(other.close)
        self.hook("record.created", filter={"$or": [{"field": "id.object_id", "operator": "not_equals", "value": people},
                                                     {"field": "actor.type", "operator": "equals", "value": "system"}]}, url=other.url)
        self.create(name="Ann")
        self.create("companies", domains=["oak.example"])
        until(lambda: self.target.got and other.got, "one delivery each")
        until(lambda: self.sim.control("GET", "/deliveries")["pending"] == 0, "none pending")
        self.assertEqual((len(self.target.got), len(other.got)), (1, 1))
        self.assertEqual(self.target.events()[0]["id"]["object_id"], people)

    def test_a_refused_delivery_is_repeated_with_the_same_key(self):
        self.sim.control("POST", "/clock", {"factor": 1000})
        self.target.statuses = [500, 404, 302]
        self.hook("record.created")
        self.create(name="Ann")
        until(lambda: len(self.target.got) == 4, "three repetitions")
        self.assertEqual(len({(h["Idempotency-Key"], h["Attio-Signature"], b) for _, h, b in self.target.got}), 1)
        until(lambda: self.sim.control("GET", "/deliveries")["delivered"] == 1, "delivered")
        counts = self.sim.control("GET", "/deliveries")
        self.assertEqual((counts["pending"], counts["retried"], counts["failed"]), (0, 3, 0))

    def test_a_target_that_never_takes_it_degrades_the_webhook_and_then_stops_it(self):
        self.sim.control("POST", "/clock", {"factor": 500000})
        self.target.statuses = [503] * 1000
        path = "/v2/webhooks/" + self.hook("record.created")["id"]["webhook_id"]
        self.create(name="Ann")
        until(lambda: self.data("GET", path)["status"] != "active", "degraded")
        self.assertEqual(len(self.target.got), 11)
        until(lambda: self.data("GET", path)["status"] == "inactive", "inactive after seven days")
        self.create(name="Bob")
        self.assertEqual(self.sim.control("GET", "/deliveries")["pending"], 0)

    def test_tls_targets_are_taken_and_tried_again_when_nobody_vouches_for_them(self):
        self.hook("record.created", url="https://127.0.0.1:1/x")
        self.create(name="Ann")
        until(lambda: self.sim.control("GET", "/deliveries")["retried"] == 1, "a first try failed")
        self.assertEqual(self.sim.control("GET", "/deliveries")["pending"], 1)

    def test_deliveries_to_one_url_are_smoothed(self):
        self.hook("record.created")
        start = time.monotonic()
        for _ in range(30):
            self.create()
        until(lambda: len(self.target.got) == 30, "thirty deliveries", 10)
        self.assertGreater(time.monotonic() - start, 29 / 25 - 0.2)
        times = sorted(t for t, _, _ in self.target.got)
        self.assertLessEqual(max(sum(t <= u < t + 0.5 for u in times) for t in times), 20)


class Control(SimTest):
    def test_same_seed_same_workspace(self):
        twin = Sim(self.people, self.companies, self.deals, self.seed, self.extra)
        other = Sim(self.people, self.companies, self.deals, self.seed + 1, self.extra)
        self.addCleanup(twin.stop)
        self.addCleanup(other.stop)
        for slug in ("people", "companies", "deals"):
            dumps = [request(s.port, "GET", f"/_sim/state?object={slug}")[1] for s in (self.sim, twin, other)]
            self.assertEqual(dumps[0], dumps[1])
            self.assertNotEqual(dumps[0], dumps[2])
        for s in (self.sim, twin):
            s.control("POST", "/edit", {"count": 40})
        compact = [{r["record_id"]: r["values"] for r in s.control("GET", "/state?object=people&form=compact")["records"]} for s in (self.sim, twin)]
        self.assertEqual(compact[0], compact[1])

    def test_state_is_what_is_read(self):
        self.sim.control("POST", "/edit", {"count": 50})
        state = self.sim.control("GET", "/state?object=people")
        read = self.query()
        self.assertEqual([r["record_id"] for r in state["records"]], sorted(self.ids(read)))
        values = {r["id"]["record_id"]: r["values"] for r in read}
        for r in state["records"]:
            self.assertEqual(r["values"], values[r["record_id"]])
        first = self.sim.control("GET", "/state?object=people&limit=5")["records"]
        second = self.sim.control("GET", f"/state?object=people&limit=5&after={first[-1]['record_id']}")["records"]
        self.assertEqual(first + second, state["records"][:10])

    def test_edits(self):
        before = self.sim.state("companies")[1]
        done = self.sim.control("POST", "/edit", {"count": 30, "objects": ["people"], "kinds": ["edit"]})
        self.assertEqual((done["edits"], done["inserts"], done["deletes"]), (30, 0, 0))
        self.assertEqual(self.sim.state("companies")[1], before, "edits of people alone")
        self.sim.control("POST", "/edit", {"edits": 50, "inserts": 20, "deletes": 10, "seconds": 0.5})
        until(lambda: not self.sim.control("GET", "/edit")["running"], "the end of the edits", 10)
        done = self.sim.control("GET", "/edit")
        self.assertEqual((done["edits"], done["inserts"], done["deletes"]), (55, 10, 5))
        total = sum(len(self.sim.state(slug)[1]) for slug in ("people", "companies", "deals"))
        self.assertEqual(total, self.people + self.companies + self.deals + 5)

    def test_requests_are_counted(self):
        self.sim.control("POST", "/requests", {"cap": 3, "interval_ms": 60000})
        for _ in range(5):
            self.ok("GET", "/v2/self")
        self.query()
        trace = self.sim.requests()
        self.assertEqual((trace["total"], trace["violations"], trace["most_in_flight"]), (6, 3, 1))
        self.assertEqual({(r["method"], r["route"]): r["count"] for r in trace["routes"]},
                         {("GET", "/v2/self"): 5, ("POST", "/v2/objects/{object}/records/query"): 1})
        self.sim.control("POST", "/requests")
        self.assertEqual(self.sim.requests()["total"], 0)

    def broken(self, **fault):
        self.sim.faults(**fault)
        try:
            return self.call("GET", "/v2/objects")
        except (OSError, http.client.HTTPException, ValueError) as e:
            return e
        finally:
            self.sim.faults(clear=True)
            self.assertEqual(self.call("GET", "/v2/objects")[0], 200)

    def test_faults(self):
        self.assertEqual(self.broken(status=503)[0], 503)
        self.assertEqual(self.broken(status=429)[1]["code"], "rate_limit_exceeded")
        self.assertEqual(self.broken(status=401)[1]["code"], "unauthorized")
        self.assertIsInstance(self.broken(kind="garbage"), http.client.BadStatusLine)
        self.assertIsInstance(self.broken(kind="broken_json"), ValueError)
        self.assertIsInstance(self.broken(kind="half_body"), http.client.IncompleteRead)
        self.assertIs(type(self.broken(kind="reset", at=0)), ConnectionResetError, "a reset, not an end")
        self.assertIs(type(self.broken(kind="reset", at=700)), ConnectionResetError)
        self.assertEqual(self.broken(route="/v2/webhooks", status=500)[0], 200, "another route")
        self.assertEqual(self.broken(method="POST", status=500)[0], 200, "another method")
        self.assertEqual(self.broken(kind="slow", at=200)[0], 200)
        start = time.monotonic()
        self.assertEqual(self.broken(latency_ms=200)[0], 200)
        self.assertGreaterEqual(time.monotonic() - start, 0.2)

    def test_silence(self):
        self.sim.faults(kind="silence", count=1)
        with self.assertRaises(OSError):
            request(self.sim.port, "GET", "/v2/self", headers=AUTH, timeout=0.3)
        self.assertEqual(self.call("GET", "/v2/self")[0], 200, "once only")

    def test_a_share_of_requests(self):
        self.sim.faults(status=500, rate=0.5)
        statuses = [self.call("GET", "/v2/self")[0] for _ in range(60)]
        self.assertTrue(10 < statuses.count(500) < 50, statuses.count(500))
        for bad in ({"kind": "fire"}, {"rate": 2}, {"status": 99}, {"latency_ms": "x"}):
            self.assertEqual(request(self.sim.port, "POST", "/_sim/faults", bad)[0], 400)

    def test_stale_reads(self):
        self.sim.faults(kind="stale", stale_ms=60000)
        person = self.query(limit=1)[0]
        path = "/v2/objects/people/records/" + person["id"]["record_id"]
        self.write("PATCH", person, job_title="newer")
        self.assertEqual(self.data("GET", path), person)
        self.assertEqual(self.query(filter={"record_id": person["id"]["record_id"]}), [person])
        made = self.create(name="Ann")
        self.assertEqual(self.call("GET", "/v2/objects/people/records/" + made["id"]["record_id"])[0], 404)
        self.ok("DELETE", path)
        self.assertEqual(self.data("GET", path), person)
        accurate = self.raw("GET", path).getheader("x-accurate-at")
        self.sim.faults(clear=True)
        self.assertEqual(self.call("GET", path)[0], 404)
        self.assertLess(accurate, self.raw("GET", "/v2/self").getheader("x-accurate-at"))

    def test_an_edit_while_a_reply_is_slow_does_not_hang_the_end(self):
        self.sim.faults(latency_ms=60000)
        thread = threading.Thread(target=lambda: self.call("GET", "/v2/self"))
        thread.start()
        until(lambda: self.sim.requests()["in_flight"] == 1, "one under way")
        self.assertEqual(self.sim.stop(), 0)
        thread.join(10)
        self.assertFalse(thread.is_alive())


class Program(unittest.TestCase):
    def run_it(self, *arguments):
        return subprocess.run([BUILD / "attio-sim", *arguments], capture_output=True, text=True, timeout=20)

    def test_usage(self):
        self.assertEqual(self.run_it("--help").returncode, 0)
        self.assertEqual(self.run_it("--version").returncode, 0)
        for bad in (["--nonsense", "x"], ["--people"], ["--people", "x"], ["--listen", "0.0.0.0:1"], ["--limits", "maybe"]):
            done = self.run_it(*bad)
            self.assertEqual(done.returncode, 2, bad)
            self.assertIn("--help", done.stderr)

    def test_a_taken_port_is_an_error(self):
        sim = Sim(1, 1, 1)
        self.addCleanup(sim.stop)
        done = self.run_it("--listen", f"127.0.0.1:{sim.port}")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)

    def test_names_are_those_the_log_scan_looks_for(self):
        words = (SOURCE / "tests/lint/sim_names.txt").read_text().split()
        in_program = [w for line in (SOURCE / "src/sim/names.c").read_text().splitlines() if line.startswith("    \"")
                      for w in line.replace('"', "").replace(",", " ").split()]
        self.assertEqual(words, in_program)


if __name__ == "__main__":
    unittest.main()
