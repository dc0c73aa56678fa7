"""attio-sim takes any body: valid ones are mutated at random; each answer is JSON with Attio's four keys, and it lives on.

ATTIOD_SEED=… repeats a run, ATTIOD_MUTATIONS=… makes it longer.
"""

import copy
import http.client
import json
import os
import random

from support.attiod import API_KEY
from support.sim_case import SimTest

SEED = int(os.environ.get("ATTIOD_SEED", "7"))
ROUNDS = int(os.environ.get("ATTIOD_MUTATIONS", "1500"))
ODD = [None, True, False, 0, -1, 5, 2.5, 1e300, -1e15, 2**63, 10**25, "", "x", "people", "true", "\u0000", "ü€😀", "a" * 300, "2024-02-30",
       "2024-02-29T12:00:00Z", "9999-12-31T23:59:59Z", "+1", "@", "a@b.example", "00000000-0000-4000-8000-000000000000", [], {}, [None], [[]],
       {"value": None}, {"$eq": 1}, {"$in": ["x", 5]}, {"$gte": "2024-01-01T00:00:00Z"}, {"$not": {}}, {"path": []}, {"target_object": "people"}]


class Mutated(SimTest):
    people, companies, deals = 40, 10, 8
    extra = ("--limits", "off", "--lists", "1", "--entries", "20", "--users", "5", "--workspaces", "3")

    def nodes(self, value, path=()):
        yield path
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, inner in items:
            yield from self.nodes(inner, (*path, key))

    def mutate(self, body):
        body = copy.deepcopy(body)
        for _ in range(self.random.randint(1, 3)):
            path = self.random.choice(list(self.nodes(body)))
            if not path:
                continue
            inner = body
            for key in path[:-1]:
                inner = inner[key]
            what = self.random.random()
            if what < 0.25:
                del inner[path[-1]]
            elif what < 0.35 and isinstance(inner, dict):
                inner[self.random.choice(["name", "$and", "$or", "path", "value", "x", "stage"])] = inner.pop(path[-1])
            elif what < 0.45:
                inner[path[-1]] = [inner[path[-1]]] * self.random.randint(1, 3)
            else:
                inner[path[-1]] = copy.deepcopy(self.random.choice(ODD))
        return body

    def seeds(self):
        one = {slug: self.query(slug, limit=3) for slug in ("people", "companies", "deals", "users")}
        rid = {slug: [r["id"]["record_id"] for r in records] for slug, records in one.items()}
        member = self.data("GET", "/v2/workspace_members")[0]["email_address"]
        lists = self.data("GET", "/v2/lists")[0]["api_slug"]
        attribute = {"title": "t", "description": None, "api_slug": "t", "type": "text", "is_required": False, "is_unique": False,
                     "is_multiselect": False, "config": {"currency": {"default_currency_code": "EUR", "display_type": "name"},
                                                         "record_reference": {"allowed_objects": ["people"]}},
                     "default_value": {"type": "static", "template": [{"value": "x"}]}}
        person = {"name": {"first_name": "A", "last_name": "B", "full_name": "A B"}, "email_addresses": [{"email_address": "a@b.example"}],
                  "phone_numbers": [{"original_phone_number": "+15550001111", "country_code": "US"}], "job_title": "x",
                  "company": {"target_object": "companies", "domains": ["x.example"]}, "primary_location": "1 Long Acre"}
        deal = {"name": "x", "stage": {"status": "Lead"}, "owner": member, "value": "5.5", "associated_people": [
            {"target_object": "people", "target_record_id": rid["people"][0]}]}
        asked = {"filter": {"$and": [{"name": {"full_name": {"$contains": "a"}}}, {"$or": [{"created_at": {"$gte": "2021-01-01T00:00:00Z"}},
                 {"$not": {"path": [["people", "company"], ["companies", "name"]], "constraints": {"value": {"$eq": "x"}}}}]},
                 {"record_id": {"$in": rid["people"]}}]},
                 "sorts": [{"direction": "asc", "attribute": "name", "field": "last_name"}, {"direction": "desc", "path": [["people", "company"], ["companies", "name"]]}],
                 "limit": 5, "offset": 1}
        people = "/v2/objects/people"
        return [
            ("POST", people + "/records/query", asked),
            ("POST", f"/v2/lists/{lists}/entries/query", {"filter": {"created_at": {"$lt": "2031-01-01T00:00:00Z"}}, "limit": 3}),
            ("POST", people + "/records", {"data": {"values": person}}),
            ("PUT", people + "/records?matching_attribute=email_addresses", {"data": {"values": person}}),
            ("PATCH", people + "/records/" + rid["people"][1], {"data": {"values": person}}),
            ("PUT", people + "/records/" + rid["people"][2], {"data": {"values": person}}),
            ("POST", "/v2/objects/deals/records", {"data": {"values": deal}}),
            ("PATCH", "/v2/objects/deals/records/" + rid["deals"][0], {"data": {"values": deal}}),
            ("PATCH", "/v2/objects/users/records/" + rid["users"][0], {"data": {"values": {"user_id": "u", "workspace": "wsp-1", "person": "a@b.example"}}}),
            ("POST", people + "/records/merge", {"data": {"primary_record_id": rid["people"][0], "secondary_record_id": rid["people"][1]}}),
            ("POST", "/v2/objects/records/search", {"query": "a", "objects": ["people", "deals"], "request_as": {"type": "workspace"}, "limit": 3}),
            ("POST", "/v2/objects", {"data": {"api_slug": "boats", "singular_noun": "Boat", "plural_noun": "Boats"}}),
            ("PATCH", "/v2/objects/deals", {"data": {"singular_noun": "Deal"}}),
            ("POST", "/v2/objects/deals/attributes", {"data": attribute}),
            ("POST", f"/v2/lists/{lists}/attributes", {"data": {**attribute, "type": "select"}}),
            ("PATCH", "/v2/objects/deals/attributes/t", {"data": {k: attribute[k] for k in ("title", "api_slug", "is_unique", "default_value", "config")}}),
            ("POST", "/v2/objects/companies/attributes/categories/options", {"data": {"title": "x"}}),
            ("PATCH", "/v2/objects/deals/attributes/stage/statuses/Lead", {"data": {"title": "Lead", "target_time_in_status": "P7D"}}),
            ("POST", "/_sim/attribute", {"object": "deals", "attribute": "t", "type": "number", "is_multiselect": False}),
            ("POST", "/_sim/merge", {"vintage": "new", "apply_ms": 0}),
            ("POST", "/_sim/limits", {"score_query": 5, "score_window": 5}),
            ("POST", "/_sim/edit", {"count": 3, "kinds": ["edit", "merge", "schema"], "objects": ["all"]}),
        ]

    def test_nothing_breaks_it(self):
        print(f"ATTIOD_SEED={SEED} ATTIOD_MUTATIONS={ROUNDS}")
        self.random = random.Random(SEED)
        seeds = self.seeds()
        line = http.client.HTTPConnection("127.0.0.1", self.sim.port, timeout=60)
        self.addCleanup(line.close)
        taken = 0
        for i in range(ROUNDS):
            method, path, body = self.random.choice(seeds)
            body = self.mutate(body)
            line.request(method, path, json.dumps(body), {"Authorization": "Bearer " + API_KEY, "Content-Type": "application/json"})
            answer = line.getresponse()
            told = json.loads(answer.read())
            with self.subTest(round=i, method=method, path=path, body=body):
                self.assertIn(answer.status, (200, 202, 400, 404, 409, 413))
                if answer.status >= 400:
                    self.assertLessEqual({"status_code", "type", "code", "message"}, set(told))
            taken += answer.status < 300
        self.assertGreater(taken, ROUNDS // 20)
        for slug in ("people", "companies", "deals"):
            self.query(slug)
            self.sim.state(slug)
