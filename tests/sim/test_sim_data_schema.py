"""attio-sim: objects that are activated, attributes that are made, renamed, archived, made unique, changed in type."""

from support.attiod import request, until
from support.sim_case import Receiver, SimTest


class SchemaTest(SimTest):
    path = "/v2/objects/deals/attributes"

    def make(self, slug, kind, path=None, **more):
        body = {"title": slug.title(), "description": None, "api_slug": slug, "type": kind, "is_required": False,
                "is_unique": False, "is_multiselect": False, "config": {}, **more}
        return self.data("POST", path or self.path, {"data": body})

    def refused(self, slug, kind, at, path=None, **more):
        body = {"title": slug, "description": None, "api_slug": slug, "type": kind, "is_required": False,
                "is_unique": False, "is_multiselect": False, "config": {}, **more}
        answer = self.fails(400, "validation_type", "Body payload", "POST", path or self.path, {"data": body})
        self.assertEqual([e["path"] for e in answer["validation_errors"]], [at])

    def patch(self, slug, **fields):
        return self.data("PATCH", f"{self.path}/{slug}", {"data": fields})

    def deal(self, **values):
        member = self.data("GET", "/v2/workspace_members")[0]
        return self.create("deals", **{"name": "Ship", "stage": "Lead", "owner": member["email_address"], **values})

    def listen(self, *kinds):
        receiver = Receiver()
        self.addCleanup(receiver.close)
        self.data("POST", "/v2/webhooks", {"data": {"target_url": receiver.url, "subscriptions": [
            {"event_type": kind, "filter": None} for kind in kinds]}})
        return receiver


class Attributes(SchemaTest):
    def test_what_is_refused(self):
        self.refused("x", "text", ["data", "is_multiselect"], is_multiselect=True)
        self.refused("x", "select", ["data", "is_unique"], is_unique=True)
        self.refused("x", "text", ["data", "is_unique"], "/v2/objects/companies/attributes", is_unique=True)
        self.refused("x", "status", ["data", "type"], "/v2/objects/people/attributes")
        self.refused("x", "interaction", ["data", "type"])
        self.refused("x", "text", ["data", "relationship"], relationship={})
        self.refused("x", "text", ["data", "default_value"], "/v2/objects/people/attributes",
                     default_value={"type": "static", "template": ["x"]})
        self.refused("x", "date", ["data", "default_value"], default_value={"type": "dynamic", "template": "soon"})
        self.fails(400, "value_not_found", 'Object with slug/ID "x" not found.', "POST", self.path, {"data": {
            "title": "x", "description": None, "api_slug": "x", "type": "record-reference", "is_required": False,
            "is_unique": False, "is_multiselect": False, "config": {"record_reference": {"allowed_objects": ["x"]}}}})

    def test_config_is_kept(self):
        made = self.make("fee", "currency", config={"currency": {"default_currency_code": "EUR", "display_type": "name"}})
        self.assertEqual(made["config"]["currency"], {"default_currency_code": "EUR", "display_type": "name"})
        self.assertEqual(self.deal(fee=2.5)["values"]["fee"][0]["currency_code"], "EUR")
        self.assertEqual(self.patch("fee", title="Fee 2")["config"], made["config"])
        changed = self.patch("fee", config={"currency": {"default_currency_code": "CHF", "display_type": "code"}})
        self.assertEqual(changed["config"]["currency"]["default_currency_code"], "CHF")
        people = self.data("GET", "/v2/objects/people")["id"]["object_id"]
        made = self.make("who", "record-reference", config={"record_reference": {"allowed_objects": ["people"]}})
        self.assertEqual(made["config"]["record_reference"]["allowed_object_ids"], [people])

    def test_events(self):
        receiver = self.listen("object-attribute.created", "object-attribute.updated")
        made = self.make("score", "number")
        self.patch("score", is_archived=True)
        self.patch("score", is_archived=False, title="Points", api_slug="points")
        until(lambda: len(receiver.got) == 3, "one event a change")
        self.assertEqual([e["event_type"].rsplit(".")[1] for e in receiver.events()], ["created", "updated", "updated"])
        self.assertEqual({(e["id"]["object_id"], e["id"]["attribute_id"]) for e in receiver.events()},
                         {(made["id"]["object_id"], made["id"]["attribute_id"])})

    def test_archived_is_not_read_and_comes_back_with_its_values(self):
        self.make("score", "number")
        deal = self.deal(score=7)
        self.patch("score", is_archived=True)
        path = "/v2/objects/deals/records/" + deal["id"]["record_id"]
        self.assertNotIn("score", self.data("GET", path)["values"])
        self.patch("score", is_archived=False)
        self.assertEqual(self.data("GET", path)["values"]["score"][0]["value"], 7)

    def test_becoming_unique_counts_what_is_there(self):
        self.make("code", "text")
        first = self.deal(code="A1")
        self.patch("code", is_unique=True)
        self.fails(400, "uniqueness_conflict", first["id"]["record_id"], "POST", "/v2/objects/deals/records", {"data": {
            "values": {"name": "x", "stage": "Lead", "owner": self.data("GET", "/v2/workspace_members")[0]["email_address"],
                       "code": "A1"}}})
        found = self.data("PUT", "/v2/objects/deals/records?matching_attribute=code",
                          {"data": {"values": {"code": "A1", "name": "Boat"}}})
        self.assertEqual(found["id"], first["id"])

    def test_defaults(self):
        self.make("grade", "rating", default_value={"type": "static", "template": [{"value": 4}]})
        self.make("due", "date", default_value={"type": "dynamic", "template": "P1M"})
        self.make("maker", "actor-reference", default_value={"type": "dynamic", "template": "current-user"})
        self.make("kind", "text", is_required=True, default_value={"type": "static", "template": ["plain"]})
        values = self.deal()["values"]
        self.assertEqual(values["grade"][0]["value"], 4)
        self.assertEqual(values["kind"][0]["value"], "plain")
        self.assertEqual(values["maker"][0]["referenced_actor_type"], "api-token")
        self.assertGreater(values["due"][0]["value"], values["created_at"][0]["value"][:10])
        self.assertEqual(self.deal(grade=1)["values"]["grade"][0]["value"], 1)
        self.assertFalse(self.patch("grade", default_value=None)["is_default_value_enabled"])
        self.assertEqual(self.deal()["values"]["grade"], [])

    def test_a_relationship_on_one_object_needs_two_slugs(self):
        self.fails(409, "slug_conflict", "same API slug", "POST", "/v2/objects/people/attributes", {"data": {
            "title": "x", "description": None, "api_slug": "twin", "type": "record-reference", "is_required": False,
            "is_unique": False, "is_multiselect": False, "config": {},
            "relationship": {"object": "people", "title": "x", "api_slug": "twin", "is_multiselect": False}}})


class Types(SchemaTest):
    def retype(self, slug, kind, **more):
        return self.sim.control("POST", "/attribute", {"object": "deals", "attribute": slug, "type": kind, **more})["data"]

    def after(self, deal, slug):
        record = self.data("GET", "/v2/objects/deals/records/" + deal["id"]["record_id"])
        return [{k: v for k, v in value.items() if not k.startswith(("active", "created"))} for value in record["values"][slug]]

    def test_text_to_number_and_back(self):
        made = self.make("size", "text")
        good, bad = self.deal(size="12.5"), self.deal(size="large")
        receiver = self.listen("object-attribute.updated", "record.updated")
        changed = self.retype("size", "number")
        self.assertEqual((changed["id"], changed["type"]), (made["id"], "number"))
        self.assertEqual(self.after(good, "size"), [{"value": 12.5, "attribute_type": "number"}])
        self.assertEqual(self.after(bad, "size"), [])
        self.assertEqual(len(self.query("deals", filter={"size": {"$gte": 12}})), 1)
        self.retype("size", "text")
        self.assertEqual(self.after(good, "size"), [{"value": "12.5", "attribute_type": "text"}])
        until(lambda: len(receiver.got) == 2, "two events")
        self.assertEqual({e["event_type"] for e in receiver.events()}, {"object-attribute.updated"})

    def test_text_to_select_makes_options(self):
        self.make("tone", "text")
        deals = [self.deal(tone=t) for t in ("red", "blue", "red")]
        self.retype("tone", "select", is_multiselect=True)
        options = self.data("GET", self.path + "/tone/options")
        self.assertEqual([o["title"] for o in options], ["red", "blue"])
        self.assertEqual(self.after(deals[2], "tone")[0]["option"], options[0])
        self.write("PATCH", deals[2], "deals", tone=["blue"])
        self.assertEqual([v["option"]["title"] for v in self.after(deals[2], "tone")], ["blue", "red"])
        self.retype("tone", "text", is_multiselect=False)
        self.assertEqual(self.after(deals[2], "tone"), [{"value": "blue", "attribute_type": "text"}])

    def test_a_unique_value_stays_unique(self):
        self.make("code", "text", is_unique=True)
        deal = self.deal(code="17")
        self.retype("code", "number")
        found = self.data("PUT", "/v2/objects/deals/records?matching_attribute=code", {"data": {"values": {"code": 17}}})
        self.assertEqual(found["id"], deal["id"])

    def test_every_type_can_become_every_other(self):
        samples = {"text": "2024", "number": 2024, "checkbox": True, "currency": 2024, "date": "2024-02-29", "rating": 3,
                   "timestamp": "2024-02-29T12:00:00Z", "select": None, "actor-reference": None, "domain": ["a.example"],
                   "email-address": ["a@b.example"], "phone-number": ["+15550001111"], "location": "1 Long Acre",
                   "record-reference": None}
        made = []
        for a in samples:
            for b in samples:
                slug = f"{a}_{b}".replace("-", "_")
                self.make(slug, a, is_multiselect=a in ("domain", "email-address", "phone-number"))
                made.append((slug, a, b))
        deal = self.deal(**{slug: samples[a] for slug, a, _ in made if samples[a] is not None})
        for slug, _, b in made:
            self.retype(slug, b)
        read = self.data("GET", "/v2/objects/deals/records/" + deal["id"]["record_id"])["values"]
        for slug, _, b in made:
            self.assertTrue(all(v["attribute_type"] == b for v in read[slug]), slug)
        self.assertEqual(read["date_timestamp"][0]["value"], "2024-02-29T00:00:00.000000000Z")
        self.assertEqual(read["timestamp_date"][0]["value"], "2024-02-29")
        self.assertEqual(read["number_text"][0]["value"], "2024")

    def test_what_cannot_be_retyped(self):
        for slug, kind in (("associated_people", "text"), ("created_at", "text"), ("name", "nothing")):
            status, _ = request(self.sim.port, "POST", "/_sim/attribute", {"object": "deals", "attribute": slug, "type": kind})
            self.assertEqual(status, 400)


class Optional(SchemaTest):
    def test_users_and_workspaces_are_activated(self):
        self.fails(404, "not_found", "Object with", "GET", "/v2/objects/users")
        for slug in ("users", "workspaces", "users"):
            self.sim.control("POST", "/activate", {"object": slug})
        self.assertEqual([o["api_slug"] for o in self.data("GET", "/v2/objects")],
                         ["people", "companies", "deals", "users", "workspaces"])
        back = self.data("GET", "/v2/objects/people/attributes/associated_users")
        self.assertEqual((back["relationship"]["object_slug"], back["relationship"]["api_slug"]), ("users", "person"))
        workspace = self.create("workspaces", workspace_id="w1", name="One")
        user = self.create("users", primary_email_address="u@one.example", user_id="u1", workspace="w1")
        read = self.data("GET", "/v2/objects/workspaces/records/" + workspace["id"]["record_id"])
        self.assertEqual(read["values"]["users"][0]["target_record_id"], user["id"]["record_id"])
        self.fails(400, "missing_value", "Required value", "POST", "/v2/objects/users/records",
                   {"data": {"values": {"user_id": "u2"}}})
        self.assertEqual(request(self.sim.port, "POST", "/_sim/activate", {"object": "boats"})[0], 404)


class Seeded(SimTest):
    extra = ("--limits", "off", "--users", "30", "--workspaces", "10")

    def test_they_can_be_seeded(self):
        self.assertEqual((len(self.query("users")), len(self.query("workspaces"))), (30, 10))
        owned = [u for u in self.query("users") if u["values"]["workspace"]]
        self.assertTrue(owned)
        self.sim.control("POST", "/edit", {"count": 40, "objects": ["users", "workspaces"]})
