"""attio-sim: every value type, as it may be written, as it is read, and what is refused; filters of each.

With ATTIO_OPENAPI naming Attio's own OpenAPI document, everything read is held to its schemas as well.
"""

import json
import os
import pathlib

from support.sim_case import SimTest

LOCATION = ["line_1", "line_2", "line_3", "line_4", "locality", "region", "postcode", "country_code", "latitude", "longitude"]


def place(**given):
    return {**dict.fromkeys(LOCATION), **given}


def email(text, local, domain, root):
    return {"original_email_address": text, "email_address": text.lower(), "email_domain": domain, "email_root_domain": root,
            "email_local_specifier": local}


def name(first, last, full):
    return {"first_name": first, "last_name": last, "full_name": full}


def phone(original, country, number):
    return {"original_phone_number": original, "country_code": country, "phone_number": number}


# type: [(written, read)], [refused]; each is written to a single-valued attribute but for MULTI
SINGLE = {
    "text": ([("a", {"value": "a"}), ({"value": "b"}, {"value": "b"}), ([{"value": "ü\n\"\\"}], {"value": "ü\n\"\\"}), ("", {"value": ""})],
             [5, True, {"valeu": "x"}, {"value": 1}, ["a", "b"], [None]]),
    "number": ([(17, {"value": 17}), (-0.5, {"value": -0.5}), ({"value": 1.23456}, {"value": 1.2346}), (1e3, {"value": 1000}),
                (90000000000000, {"value": 90000000000000})],
               ["17", True, {"number": 1}, [1, 2], 1e15]),
    "checkbox": ([(True, {"value": True}), ("false", {"value": False}), ({"value": "true"}, {"value": True})],
                 [None, "yes", 1, {"value": None}]),
    "currency": ([(99, {"currency_value": 99, "currency_code": "USD"}), ("499.00", {"currency_value": 499, "currency_code": "USD"}),
                  ({"currency_value": 0.0001}, {"currency_value": 0.0001, "currency_code": "USD"})],
                 ["a lot", {"value": 5}, True]),
    "date": ([("2023", {"value": "2023-01-01"}), ("2023-01", {"value": "2023-01-01"}), ("2023-01-02T13:00", {"value": "2023-01-02"}),
              ({"value": "2023-01-02T15:00:00.000000000+02:00"}, {"value": "2023-01-02"}),
              ("2023-01-02T23:00:00-10:00", {"value": "2023-01-03"}), ("9999-12-31", {"value": "9999-12-31"}),
              ("2024-02-29", {"value": "2024-02-29"})],
             ["2023-02-29", "soon", 2023, "2023-13", "10000-01-01", "2023-1-1"]),
    "timestamp": ([("2023-01-02T03:04:05.123456789Z", {"value": "2023-01-02T03:04:05.123456789Z"}),
                   ("2023-01-02", {"value": "2023-01-02T00:00:00.000000000Z"}),
                   ({"value": "2023-01-02T03:04:05+02:00"}, {"value": "2023-01-02T01:04:05.000000000Z"}),
                   ("2023-01-02T03:04", {"value": "2023-01-02T03:04:00.000000000Z"})],
                  ["now", 5, "2023-01-02T25:00:00Z"]),
    "rating": ([(0, {"value": 0}), (5, {"value": 5}), ({"value": 3}, {"value": 3})], [6, -1, "3", 2.5, True]),
    "location": ([("1 Infinite Loop", place(line_1="1 Infinite Loop")),
                  (place(locality="Oststadt", country_code="DE", latitude="52.5"), place(locality="Oststadt", country_code="DE", latitude="52.5"))],
                 [5, {"locality": "Oststadt"}, {**place(), "line_1": 5}]),
}
MULTI = {
    "domain": ([(["Oak.example"], [{"domain": "oak.example", "root_domain": "oak.example"}]),
                (["https://app.oak.co.uk/path?q#f", {"domain": "oak.co.uk"}],
                 [{"domain": "app.oak.co.uk", "root_domain": "oak.co.uk"}, {"domain": "oak.co.uk", "root_domain": "oak.co.uk"}])],
               ["oak.example", ["no domain"], ["oak"], [5], [".example"]]),
    "email-address": ([(["Ann@App.Oak.Example"], [email("Ann@App.Oak.Example", "ann", "app.oak.example", "oak.example")]),
                       ([{"email_address": "a+b@x.co.uk"}], [email("a+b@x.co.uk", "a+b", "x.co.uk", "x.co.uk")])],
                      ["ann@oak.example", ["ann@oak"], ["@oak.example"], [".a@oak.example"], [{"email": "a@b.example"}]]),
    "phone-number": ([(["+1 (555) 000-1111"], [phone("+1 (555) 000-1111", "US", "+15550001111")]),
                      ([{"original_phone_number": "07234172834", "country_code": "GB"}], [phone("07234172834", "GB", "+447234172834")]),
                      ([{"original_phone_number": "+353 1 234 5678", "country_code": None}], [phone("+353 1 234 5678", "IE", "+35312345678")]),
                      ([{"original_phone_number": "+4915112345678"}], [phone("+4915112345678", "DE", "+4915112345678")])],
                     ["+15550001111", ["5550001111"], ["+1 555 CALL NOW"], ["+1"], [{"original_phone_number": "5550001111", "country_code": "XX"}]]),
}


class TypesTest(SimTest):
    path = "/v2/objects/deals/attributes"

    def make(self, slug, kind, path=None, **more):
        return self.data("POST", path or self.path, {"data": {
            "title": slug, "description": None, "api_slug": slug, "type": kind, "is_required": False, "is_unique": False,
            "is_multiselect": False, "config": {}, **more}})

    def bare(self, values):
        return [{k: v for k, v in value.items() if k not in ("active_from", "active_until", "created_by_actor", "attribute_type")}
                for value in values]

    def set(self, slug, value):
        return self.write("PUT", self.deal, "deals", **{slug: value})["values"][slug]

    def refuse(self, slug, value, code="validation_type", message=None):
        answer = self.fails(400, code, message or f'^An invalid value was passed to attribute with slug "{slug}".$', "PATCH",
                            "/v2/objects/deals/records/" + self.deal["id"]["record_id"], {"data": {"values": {slug: value}}})
        return answer

    def setUp(self):
        super().setUp()
        self.deal = self.query("deals", limit=1)[0]


class Written(TypesTest):
    def test_single_values(self):
        for kind, (taken, refused) in SINGLE.items():
            self.make("x_" + kind, kind)
            for value, read in taken:
                with self.subTest(kind=kind, value=value):
                    got = self.set("x_" + kind, value)
                    self.assertEqual(self.bare(got), [read])
                    self.assertEqual((got[0]["attribute_type"], got[0]["active_until"]), (kind, None))
            for value in refused:
                with self.subTest(kind=kind, refused=value):
                    self.refuse("x_" + kind, value)
            if kind != "checkbox":
                self.assertEqual(self.set("x_" + kind, None), [])
                self.set("x_" + kind, taken[0][0])
            self.assertEqual(self.set("x_" + kind, []), [])

    def test_several_values(self):
        for kind, (taken, refused) in MULTI.items():
            self.make("x_" + kind, kind, is_multiselect=True)
            for value, read in taken:
                with self.subTest(kind=kind, value=value):
                    self.assertEqual(self.bare(self.set("x_" + kind, value)), read)
            for value in refused:
                with self.subTest(kind=kind, refused=value):
                    self.refuse("x_" + kind, value)

    def test_the_same_types_can_be_single(self):
        for kind, value in (("domain", "oak.example"), ("email-address", "a@oak.example"), ("phone-number", "+15550001111")):
            self.make("one_" + kind, kind)
            self.assertEqual(len(self.set("one_" + kind, value)), 1)
            self.refuse("one_" + kind, [value, value])

    def test_names(self):
        person = self.query(limit=1)[0]
        for value, read in (({"first_name": "Ann", "last_name": "Oak", "full_name": "Ann B. Oak"}, name("Ann", "Oak", "Ann B. Oak")),
                            ("Oak, Ann", name("Ann", "Oak", "Ann Oak")), ("Cher", name("Cher", "", "Cher")),
                            ("Oak, Ann, Dr", name("Ann, Dr", "Oak", "Ann, Dr Oak"))):
            got = self.write("PATCH", person, name=value)["values"]["name"]
            self.assertEqual(self.bare(got), [read])
        path = "/v2/objects/people/records/" + person["id"]["record_id"]
        answer = self.fails(400, "validation_type", "slug \"name\"", "PATCH", path, {"data": {"values": {"name": {}}}})
        self.assertEqual([(e["path"], e["message"]) for e in answer["validation_errors"]],
                         [(["first_name"], "Required"), (["last_name"], "Required"), (["full_name"], "Required")])

    def test_selects_and_statuses(self):
        self.make("tone", "select")
        red = self.data("POST", self.path + "/tone/options", {"data": {"title": "Red"}})
        for value in ("Red", red["id"]["option_id"], {"option": "Red"}, [red["id"]["option_id"].upper()]):
            got = self.set("tone", value)
            self.assertEqual(self.bare(got), [{"option": red}], value)
            self.set("tone", [])
        self.refuse("tone", "Blue", "value_not_found", '^Cannot find select attribute with select option title "Blue".$')
        self.refuse("tone", {"status": "Red"})
        self.refuse("tone", ["Red", "Red"])
        statuses = self.data("GET", self.path + "/stage/statuses")
        for value in ("Lost", {"status": statuses[3]["id"]["status_id"]}):
            self.assertEqual(self.bare(self.set("stage", value)), [{"status": statuses[3]}])
            self.set("stage", "Lead")
        self.refuse("stage", "Nope", "value_not_found", '^Cannot find status attribute with status option title "Nope".$')
        self.refuse("stage", {"option": "Lead"})

    def test_actors(self):
        members = self.data("GET", "/v2/workspace_members")
        member = members[1]
        read = [{"referenced_actor_type": "workspace-member", "referenced_actor_id": member["id"]["workspace_member_id"]}]
        for value in (member["email_address"], member["email_address"].upper(), {"workspace_member_email_address": member["email_address"]},
                      read[0]):
            self.set("owner", members[0]["email_address"])
            self.assertEqual(self.bare(self.set("owner", value)), read)
        self.refuse("owner", "nobody@example.com", "value_not_found", "^Workspace member with email address")
        self.refuse("owner", {"referenced_actor_type": "api-token", "referenced_actor_id": read[0]["referenced_actor_id"]})
        self.refuse("owner", 5)

    def test_references(self):
        company = self.create("companies", domains=["ref.example"], name="Only one is called so")
        read = [{"target_object": "companies", "target_record_id": company["id"]["record_id"]}]
        for value in (read[0], [read[0]], "ref.example", {"target_object": "companies", "domains": [{"domain": "REF.example"}]},
                      {"target_object": company["id"]["object_id"], "domains": "ref.example"},
                      {"target_object": "companies", "target_record_reference": {"match": {"domains": ["ref.example"]}}},
                      {"target_object": "companies", "target_record_reference": {"match": {"name": "Only one is called so"}}}):
            self.set("associated_company", [])
            self.assertEqual(self.bare(self.set("associated_company", value)), read, value)
        for value in ("other.example", {"target_object": "companies", "domains": ["a.example", "b.example"]},
                      {"target_object": "companies", "target_record_reference": {"match": {"name": "Nobody"}}}):
            self.refuse("associated_company", value, "value_not_found", "exactly one record")
        self.refuse("associated_company", {"target_object": "people", "target_record_id": company["id"]["record_id"]},
                    "value_not_found", '^Object with slug/ID "people" not found.$')
        self.refuse("associated_company", {"target_object": "companies", "target_record_id": self.deal["id"]["record_id"]},
                    "value_not_found", "^Record with ID")
        for value in ({"target_object": "companies"}, {"target_object": "companies", "nothing": "x"}, {"target_record_id": "x"}, 5,
                      {"target_object": "companies", "target_record_reference": {"match": {"name": "x", "domains": "y"}}}):
            self.refuse("associated_company", value)

    def test_interactions_are_read_only(self):
        person = next(p for p in self.query() if p["values"]["last_interaction"])
        value = person["values"]["last_interaction"][0]
        self.assertEqual(value["attribute_type"], "interaction")
        self.assertEqual(value["owner_actor"]["type"], "workspace-member")
        self.fails(400, "validation_type", "is not writable", "PATCH", "/v2/objects/people/records/" + person["id"]["record_id"],
                   {"data": {"values": {"last_interaction": {"interaction_type": "email", "interacted_at": "2020-01-01T00:00:00Z"}}}})


class Filtered(TypesTest):
    """One deal with a value of each type among others without."""

    # attribute type -> (written, [filters that find it], [filters that do not], [filters that are errors])
    CASES = {
        "text": ("Long Acre", ["Long Acre", {"$contains": "ACRE"}, {"$starts_with": "Long"}, {"$ends_with": "Acre"}, {"$in": ["x", "Long Acre"]},
                               {"value": {"$eq": "Long Acre"}}, {"$not_empty": True}, {"$starts_with": "L", "$ends_with": "e"}],
                 ["long acre", {"$starts_with": "long"}, {"$in": []}], [5, {"$gt": "x"}, {"full_name": "x"}, {}]),
        "number": (17.5, [17.5, {"$gt": 17, "$lt": 18}, {"$gte": 17.5}, {"$lte": 17.5}], [17, {"$lt": 17.5}], ["x", {"$contains": 1}]),
        "checkbox": (True, [True, {"$eq": True}], [False], ["true", {"$gt": True}]),
        "currency": (99, [99, "99.00", {"currency_value": {"$gte": "99"}}], [98], [{"currency_code": "USD"}]),
        "date": ("2024-02-29", ["2024-02-29", {"$gte": "2024-02"}, {"$lt": "2024-03-01"}], [{"$lt": "2024-02-29"}], [5, "x"]),
        "timestamp": ("2024-02-29T12:00:00Z", ["2024-02-29T12:00:00.000Z", {"$gte": "2024-02-29T14:00:00+02:00"}], [{"$lt": "2024-02-29T12:00:00Z"}],
                      ["2024-02-29", {"$gte": "2024-02-29"}]),
        "rating": (4, [4, {"$gt": 3}], [5], ["4", 4.5]),
        "location": (place(locality="Oststadt", country_code="DE"), [{"locality": "Oststadt"}, {"locality": {"$contains": "STADT"}},
                     {"country_code": {"$starts_with": "D"}}], [{"locality": "x"}, {"region": {"$not_empty": True}}],
                     [{"latitude": "5"}, {"country_code": {"$contains": "D"}}]),
        "domain": ("app.oak.co.uk", ["app.oak.co.uk", {"root_domain": "oak.co.uk"}, {"domain": {"$contains": "OAK"}}], ["oak.co.uk"],
                   [{"$in": ["app.oak.co.uk"]}]),
        "email-address": ("a@b.oak.example", ["a@b.oak.example", {"email_domain": "b.oak.example"}, {"email_root_domain": "oak.example"},
                          {"email_local_specifier": "a"}], ["b@b.oak.example"], [{"original_email_address": "a@b.oak.example"}, {"$in": ["x"]}]),
        "phone-number": ("+4915112345678", ["+4915112345678", {"country_code": "DE"}, {"phone_number": {"$starts_with": "+49"}}], ["+49151"],
                         [{"original_phone_number": "+4915112345678"}]),
    }

    def found(self, body):
        return self.ids(self.query("deals", filter=body))

    def test_each_type(self):
        me = [self.deal["id"]["record_id"]]
        for kind, (written, hits, misses, errors) in self.CASES.items():
            slug = "x_" + kind
            self.make(slug, kind)
            self.set(slug, written)
            for asked in hits:
                with self.subTest(kind=kind, hit=asked):
                    self.assertEqual(self.found({slug: asked}), me)
                    self.assertNotIn(me[0], self.found({"$not": {slug: asked}}))
            for asked in misses:
                with self.subTest(kind=kind, miss=asked):
                    self.assertEqual(self.found({slug: asked}), [])
            for asked in errors:
                with self.subTest(kind=kind, error=asked):
                    self.fails(400, "filter_error", "Error in filter.", "POST", "/v2/objects/deals/records/query", {"filter": {slug: asked}})

    def test_options_by_title_id_and_time(self):
        self.make("tone", "select")
        red = self.data("POST", self.path + "/tone/options", {"data": {"title": "Red"}})
        since = self.set("tone", "Red")[0]["active_from"]
        me = [self.deal["id"]["record_id"]]
        for asked in ("Red", red["id"]["option_id"], {"option": {"$eq": "Red"}}, {"active_from": {"$gte": since}}):
            self.assertEqual(self.found({"tone": asked}), me)
        self.assertEqual(self.found({"tone": {"active_from": {"$gt": since}}}), [])

    def test_actors_need_both_properties(self):
        owner = self.deal["values"]["owner"][0]
        whole = {k: owner[k] for k in ("referenced_actor_type", "referenced_actor_id")}
        self.assertIn(self.deal["id"]["record_id"], self.found({"owner": whole}))
        for half in ({"referenced_actor_id": whole["referenced_actor_id"]}, whole["referenced_actor_id"]):
            self.fails(400, "filter_error", "Error in filter.", "POST", "/v2/objects/deals/records/query", {"filter": {"owner": half}})

    def test_sorts_by_every_type(self):
        deals = self.query("deals")
        for kind, a, b in (("text", "a", "b"), ("number", -1, 2), ("checkbox", False, True), ("currency", 1, 10), ("date", "1999", "2001"),
                           ("timestamp", "1999-01-01T00:00:00Z", "1999-01-01T00:00:00.000000001Z"), ("rating", 1, 3)):
            slug = "s_" + kind
            self.make(slug, kind)
            self.write("PATCH", deals[0], "deals", **{slug: b})
            self.write("PATCH", deals[1], "deals", **{slug: a})
            up = self.query("deals", sorts=[{"direction": "asc", "attribute": slug}])
            self.assertEqual(self.ids(up)[:2], self.ids([deals[1], deals[0]]), kind)
            down = self.query("deals", sorts=[{"direction": "desc", "attribute": slug}])
            self.assertEqual(self.ids(down)[:2], self.ids(deals[:2]), kind)


class Schema:
    """As much of JSON Schema as Attio's document uses."""

    KINDS = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "number": (int, float), "integer": int}

    def __init__(self, path):
        self.document = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))

    def resolve(self, schema):
        while "$ref" in schema:
            node = self.document
            for part in schema["$ref"].lstrip("#/").split("/"):
                node = node[part]
            schema = node
        return schema

    def is_kind(self, value, kind):
        return isinstance(value, self.KINDS[kind]) and not (isinstance(value, bool) and kind in ("number", "integer"))

    def errors(self, value, schema, at="$"):
        schema = self.resolve(schema)
        for word in ("oneOf", "anyOf"):
            if word in schema:
                tries = [self.errors(value, s, at) for s in schema[word]]
                if all(tries):
                    return min(tries, key=len)
        kinds = schema.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if schema.get("nullable"):
            kinds = [*kinds, "null"]
        if kinds and not any(self.is_kind(value, k) for k in kinds):
            return [f"{at}: {value!r} is not {kinds}"]
        found = []
        if value is not None and "enum" in schema and value not in schema["enum"]:
            found.append(f"{at}: {value!r} is not one of {schema['enum']}")
        if isinstance(value, dict):
            properties, more = schema.get("properties", {}), schema.get("additionalProperties", True)
            found += [f"{at}: {k} is missing" for k in schema.get("required", []) if k not in value]
            for key, inner in value.items():
                if key in properties:
                    found += self.errors(inner, properties[key], f"{at}.{key}")
                elif more is False:
                    found.append(f"{at}: {key} is not expected")
                elif isinstance(more, dict):
                    found += self.errors(inner, more, f"{at}.{key}")
        if isinstance(value, list) and "items" in schema:
            for i, inner in enumerate(value):
                found += self.errors(inner, schema["items"], f"{at}[{i}]")
        return found

    def answer(self, method, path, body):
        operation = self.document["paths"][path][method]
        return self.errors(body, operation["responses"]["200"]["content"]["application/json"]["schema"])


if os.environ.get("ATTIO_OPENAPI"):
    class Documented(TypesTest):
        def hold(self, method, path, answer):
            schema = Schema(os.environ["ATTIO_OPENAPI"])
            self.assertEqual(schema.answer(method, path, answer), [])

        def test_records_of_every_type(self):
            for kind, (taken, _) in {**SINGLE, **MULTI}.items():
                self.make("x_" + kind, kind, is_multiselect=kind in MULTI)
                self.set("x_" + kind, taken[0][0])
            for slug in ("people", "companies", "deals"):
                answer = self.ok("POST", f"/v2/objects/{slug}/records/query", {})
                self.hold("post", "/v2/objects/{object}/records/query", answer)
                record = answer["data"][0]["id"]["record_id"]
                self.hold("get", "/v2/objects/{object}/records/{record_id}", self.ok("GET", f"/v2/objects/{slug}/records/{record}"))
                self.hold("get", "/v2/{target}/{identifier}/attributes", self.ok("GET", f"/v2/objects/{slug}/attributes"))
            self.hold("get", "/v2/objects", self.ok("GET", "/v2/objects"))
            self.hold("get", "/v2/{target}/{identifier}/attributes/{attribute}/statuses", self.ok("GET", self.path + "/stage/statuses"))
            self.hold("get", "/v2/{target}/{identifier}/attributes/{attribute}/options",
                      self.ok("GET", "/v2/objects/companies/attributes/categories/options"))
            search = self.ok("POST", "/v2/objects/records/search", {"query": "", "objects": ["people", "companies", "deals"],
                                                                    "request_as": {"type": "workspace"}})
            self.hold("post", "/v2/objects/records/search", search)
            person = self.query(limit=1)[0]["id"]["record_id"]
            self.hold("get", "/v2/objects/{object}/records/{record_id}/attributes/{attribute}/values",
                      self.ok("GET", f"/v2/objects/people/records/{person}/attributes/name/values?show_historic=true"))

        def test_the_checker_sees_what_is_wrong(self):
            answer = self.ok("POST", "/v2/objects/deals/records/query", {"limit": 1})
            answer["data"][0]["values"]["name"][0]["value"] = 5
            self.assertTrue(Schema(os.environ["ATTIO_OPENAPI"]).answer("post", "/v2/objects/{object}/records/query", answer))
