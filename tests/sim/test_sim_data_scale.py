"""attio-sim: search, dumps in pieces, first pages of large sorts; the same seed is the same workspace to the byte."""

import hashlib
import json

from support.attiod import Sim, request
from support.sim_case import AUTH, SimTest


class Search(SimTest):
    path = "/v2/objects/records/search"

    def search(self, query, *objects, **more):
        return self.data("POST", self.path, {"query": query, "objects": list(objects) or ["people"], "request_as": {"type": "workspace"}, **more})

    def test_people_by_name_address_and_number(self):
        person = self.create(name="Quillwood, Ysolde", email_addresses=["ysolde@quillwood.example"], phone_numbers=["+15550123456"],
                             twitter="ysoldetweets")
        expected = {"id": person["id"], "record_text": "Ysolde Quillwood", "record_image": None, "object_slug": "people",
                    "email_addresses": ["ysolde@quillwood.example"], "phone_numbers": ["+15550123456"]}
        for query in ("quillwood ysolde", "YSOLDE@", "quillwood.example", "5550123456", "ysoldetweets"):
            self.assertEqual(self.search(query), [expected], query)
        self.assertEqual(self.search("ysolde nobody"), [])

    def test_companies_and_deals(self):
        company = self.create("companies", domains=["quillwood.example"], name="Quillwood")
        member = self.data("GET", "/v2/workspace_members")[0]
        deal = self.create("deals", name="Quillwood renewal", stage="Lead", owner=member["email_address"])
        found = self.search("quillwood", "companies", deal["id"]["object_id"])
        self.assertEqual([f["id"] for f in found], [company["id"], deal["id"]])
        self.assertEqual(found[0]["domains"], ["quillwood.example"])
        self.assertEqual(set(found[1]), {"id", "record_text", "record_image", "object_slug"})

    def test_limits_and_members(self):
        self.assertEqual(len(self.search("")), 25)
        newest = self.query(sorts=[{"direction": "desc", "attribute": "created_at"}], limit=1)
        self.assertEqual([f["id"] for f in self.search("", limit=1)], [newest[0]["id"]])
        member = self.data("GET", "/v2/workspace_members")[0]
        for who in ({"workspace_member_id": member["id"]["workspace_member_id"]}, {"email_address": member["email_address"]}):
            self.assertEqual(len(self.search("", limit=2, request_as={"type": "workspace-member", **who})), 2)

    def test_what_is_refused(self):
        good = {"query": "x", "objects": ["people"], "request_as": {"type": "workspace"}}
        for change, at in (({"request_as": None}, ["request_as"]), ({"request_as": {"type": "robot"}}, ["request_as"]),
                           ({"query": "x" * 257}, ["query"]), ({"limit": 26}, ["limit"]), ({"limit": 0}, ["limit"]), ({"objects": []}, ["objects"])):
            answer = self.fails(400, "validation_type", "Body payload", "POST", self.path, {**good, **change})
            self.assertEqual([e["path"] for e in answer["validation_errors"]], [at])
        missing = self.fails(400, "validation_type", "Body payload", "POST", self.path, {"query": "x", "objects": ["people"]})
        self.assertEqual([(e["path"], e["message"]) for e in missing["validation_errors"]], [(["request_as"], "Required")])
        self.fails(400, "value_not_found", '^Object with slug/ID "boats" not found.$', "POST", self.path, {**good, "objects": ["boats"]})
        self.fails(400, "value_not_found", "^Workspace member with ID", "POST", self.path,
                   {**good, "request_as": {"type": "workspace-member", "email_address": "nobody@example.com"}})
        self.search("ä" * 256)


class Large(SimTest):
    people, companies, deals = 6000, 100, 50

    def test_first_pages_of_a_sort_are_those_of_the_whole(self):
        sorts = [{"direction": "desc", "attribute": "name", "field": "last_name"}, {"direction": "asc", "attribute": "job_title"}]
        few = [i for offset in range(0, 600, 60) for i in self.ids(self.query(sorts=sorts, limit=60, offset=offset))]
        # An offset this far is answered by sorting everything.
        rest = self.ids(self.query(sorts=sorts, limit=500, offset=5500))
        whole = [i for offset in range(0, 6000, 500) for i in self.ids(self.query(sorts=sorts, offset=offset))]
        self.assertEqual((len(whole), len(set(whole))), (6000, 6000))
        self.assertEqual((few, rest), (whole[:600], whole[-500:]))
        names = [r["values"]["name"][0]["last_name"] for r in self.query(sorts=sorts, limit=100)]
        self.assertEqual(names, sorted(names, reverse=True))

    def looked_at(self, **body):
        self.sim.control("POST", "/requests", {})
        self.query(**body)
        return self.sim.requests()["records_looked_at"]

    def test_pages_in_the_order_of_creation_look_at_nothing_else(self):
        people = self.query(limit=500, offset=2000)
        since = people[0]["created_at"]
        up, down = ([{"direction": d, "attribute": "created_at"}] for d in ("asc", "desc"))
        for body in ({"filter": {"created_at": {"$gte": since}}, "sorts": up}, {"filter": {"created_at": {"$gte": since}}, "sorts": down},
                     {"filter": {"created_at": {"$lt": since}}}, {"offset": 5000}, {"offset": 3000, "sorts": down}):
            self.assertEqual(self.looked_at(limit=20, **body), 20, body)
        self.assertEqual(self.looked_at(filter={"record_id": {"$in": self.ids(people)}}), 500)
        self.assertEqual(self.looked_at(filter={"email_addresses": self.emails(people[3])[0]}), 1)
        self.assertEqual(self.looked_at(filter={"job_title": "Nobody"}), 6000)

    def dump(self, query):
        status, answer = request(self.sim.port, "GET", "/_sim/state?" + query)
        self.assertEqual(status, 200)
        return answer["records"]

    def test_a_dump_in_pieces_is_the_whole(self):
        answer = self.raw("GET", "/_sim/state?object=people", headers={})
        self.assertEqual(answer.getheader("transfer-encoding"), "chunked")
        whole = json.loads(answer.read())["records"]
        ids = [r["record_id"] for r in whole]
        self.assertEqual((len(set(ids)), ids), (6000, sorted(ids)))
        pages, after = [], ""
        while True:
            page = self.dump("object=people&limit=700" + after)
            pages += page
            if len(page) < 700:
                break
            after = "&after=" + page[-1]["record_id"]
        self.assertEqual(pages, whole)
        compact = {r["record_id"]: r["values"] for r in self.dump("object=people&form=compact")}
        self.assertEqual(compact[ids[0]]["name"][0]["full_name"], whole[0]["values"]["name"][0]["full_name"])

    def test_a_dump_survives_changes_meanwhile(self):
        before = {r["record_id"] for r in self.dump("object=people&form=compact")}
        answer = self.raw("GET", "/_sim/state?object=people", headers={})
        self.sim.control("POST", "/edit", {"count": 300, "objects": ["people"], "kinds": ["delete"]})
        got = {r["record_id"] for r in json.loads(answer.read())["records"]}
        left = {r["record_id"] for r in self.dump("object=people&form=compact")}
        self.assertEqual(len(left), 5700)
        self.assertTrue(left <= got <= before)

    def test_a_small_dump_has_a_length(self):
        answer = self.raw("GET", "/_sim/state?object=people&limit=3", headers={})
        self.assertIsNotNone(answer.getheader("content-length"))
        self.assertEqual(len(json.loads(answer.read())["records"]), 3)


class Seeds(SimTest):
    people, companies, deals = 1500, 80, 60
    extra = ("--limits", "off", "--users", "40", "--workspaces", "20")

    def digest(self, sim):
        bodies = []
        for slug in ("people", "companies", "deals", "users", "workspaces"):
            bodies.append(json.dumps(request(sim.port, "GET", f"/_sim/state?object={slug}")[1]))
            bodies.append(json.dumps(request(sim.port, "GET", f"/v2/objects/{slug}/attributes", headers=AUTH)[1]))
        return hashlib.sha256("".join(bodies).encode()).hexdigest()

    def other(self, seed):
        sim = Sim(self.people, self.companies, self.deals, seed, self.extra)
        self.addCleanup(sim.stop)
        return self.digest(sim)

    def test_same_seed_same_bytes(self):
        mine = self.digest(self.sim)
        self.assertEqual(mine, self.other(1))
        self.assertNotEqual(mine, self.other(2))

    def test_edits_of_every_kind(self):
        slugs = ("people", "companies", "deals", "users", "workspaces")
        before = {s: len(self.sim.state(s)[1]) for s in slugs}
        self.sim.control("POST", "/edit", {"count": 60, "kinds": ["merge"]})
        self.assertEqual(sum(before.values()) - sum(len(self.sim.state(s)[1]) for s in slugs), 60)
        for _ in range(6):
            self.sim.control("POST", "/edit", {"count": 40, "kinds": ["schema"]})
            self.sim.control("POST", "/edit", {"count": 100})
        kinds, archived = set(), 0
        for slug in slugs:
            attributes = self.data("GET", f"/v2/objects/{slug}/attributes?show_archived=true")
            custom = {a["api_slug"]: a for a in attributes if not a["is_system_attribute"]}
            archived += sum(a["is_archived"] for a in custom.values())
            for record in self.query(slug):
                for key, values in record["values"].items():
                    for value in values:
                        if key in custom:
                            self.assertEqual(value["attribute_type"], custom[key]["type"])
                            kinds.add(value["attribute_type"])
                self.assertFalse(set(record["values"]) & {k for k, a in custom.items() if a["is_archived"]})
        self.assertGreater(len(kinds), 5)
        self.assertGreater(archived, 0)
        self.whole()

    def test_relationships_are_whole_on_both_sides(self):
        self.sim.control("POST", "/edit", {"count": 200})
        self.whole()

    def whole(self):
        def pairs(slug, attribute, flip=False):
            records = request(self.sim.port, "GET", f"/_sim/state?object={slug}")[1]["records"]
            return {(v["target_record_id"], r["record_id"]) if flip else (r["record_id"], v["target_record_id"])
                    for r in records for v in r["values"][attribute]}
        for a, b in ((("people", "company"), ("companies", "team")), (("people", "associated_deals"), ("deals", "associated_people")),
                     (("companies", "associated_deals"), ("deals", "associated_company")), (("users", "person"), ("people", "associated_users")),
                     (("workspaces", "company"), ("companies", "associated_workspaces")), (("workspaces", "users"), ("users", "workspace"))):
            self.assertEqual(pairs(*a), pairs(*b, flip=True), (a, b))
            self.assertTrue(pairs(*a), a)
