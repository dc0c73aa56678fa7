"""One person's data, erased: afterwards it is nowhere, and the rest is as it was."""

import json
import pathlib
import tempfile
import unittest

from support.attiod import API_KEY, Attiod, Sim, connect, differences, envelope, event, free_port, request, until
from test_app import run
from test_rotate import BEARER


def texts(values):
    """Every text of a record's values that tells who it is."""
    found = set()

    def walk(v, key=""):
        if isinstance(v, dict):
            for k, inner in v.items():
                walk(inner, k)
        elif isinstance(v, list):
            for inner in v:
                walk(inner, key)
        elif isinstance(v, str) and len(v) >= 4 and key in (
                "first_name", "last_name", "full_name", "email_address", "original_email_address", "original_phone_number",
                "phone_number", "value"):
            found.add(v)
    walk(values)
    return found


class Erase(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.sim = Sim(people=80, companies=10, deals=5)
        self.addCleanup(self.sim.kill)
        self.server = Attiod(self.sim, self.folder.name)
        self.addCleanup(lambda: self.server.child.poll() is None and self.server.kill())
        self.server.until_idle()
        self.object_id, self.people = self.sim.state("people")

    def everywhere(self):
        """All bytes we keep: the database and what lies beside it, and the log."""
        files = [p for p in pathlib.Path(self.folder.name).iterdir() if p.is_file()]
        self.assertIn("attiod.db", {p.name for p in files})
        return b"".join(p.read_bytes() for p in files) + pathlib.Path(self.server.log_path).read_bytes()

    def write(self, record, values):
        body = {"data": {"values": values}}
        status, answer = request(self.sim.port, "PATCH", f"/v2/objects/people/records/{record}", body, BEARER)
        self.assertEqual(status, 200, answer)
        self.tell("record.updated", record)

    def tell(self, kind, record):
        delivery = envelope(event(kind, self.sim.workspace_id(), self.object_id, record))
        self.assertEqual(self.server.deliver(delivery)[0], 200)
        self.server.until_idle()

    def erase(self, *arguments):
        return run("erase", *arguments, "--url", f"http://127.0.0.1:{self.server.internal}")

    def test_afterwards_it_is_nowhere(self):
        record = sorted(self.people)[7]
        # Names that are hers alone, one after the other: the earlier ones are in pages that were written over.
        marks = [f"Zyxquomb{chr(97 + n)}wick" for n in range(8)]
        for mark in marks:
            self.write(record, {"name": [{"first_name": mark, "last_name": mark + "son", "full_name": f"{mark} {mark}son"}],
                                "email_addresses": [{"email_address": f"{mark.lower()}@example.org"}]})
        # A handler failed on one of her events and said something; a delivery about her could not be read.
        raw = json.dumps(envelope(event("record.updated", self.sim.workspace_id(), self.object_id, record))).encode()
        self.assertEqual(self.server.deliver(raw[:-1] + b',"x":"' + marks[0].encode() + b'"')[0], 200)
        for mark in marks[-1:]:
            self.assertIn(mark.encode(), self.everywhere())
        # As long as Attio has her she would come again.
        code, _, err = self.erase("people", record)
        self.assertEqual(code, 1)
        self.assertIn("still in Attio", err)
        status, _ = request(self.sim.port, "DELETE", f"/v2/objects/people/records/{record}", headers=BEARER)
        self.assertEqual(status, 200)
        self.tell("record.deleted", record)
        code, out, err = self.erase("people", record)
        self.assertEqual(code, 0, err)
        self.assertEqual(json.loads(out)["data"], {"object": "people", "record_id": record})
        kept = self.everywhere()
        for mark in marks:
            self.assertNotIn(mark.encode(), kept)
            self.assertNotIn(mark.lower().encode(), kept)
        with connect(self.server.db) as c:
            row = c.execute("SELECT _deleted_at, _raw, name, email, _version FROM people WHERE record_id = ?",
                            (record,)).fetchone()
            self.assertEqual(c.execute("PRAGMA integrity_check").fetchone()[0], "ok")
            audit = c.execute("SELECT target, outcome FROM attiod_audit WHERE action = 'erase' ORDER BY id").fetchall()
        self.assertIsNotNone(row[0])
        self.assertEqual(row[1:4], (None, None, None))
        self.assertGreater(row[4], 0)
        self.assertEqual(len(audit), 2)
        # Everybody else is there, and what follows works: the tombstone stays one.
        self.assertEqual(differences(self.sim, self.server.db, ("people",)), [])
        self.tell("record.updated", record)
        self.assertEqual(differences(self.sim, self.server.db, ("people",)), [])
        code, _, err = run("sync", "people", "--url", f"http://127.0.0.1:{self.server.internal}")
        self.assertEqual(code, 0, err)
        self.assertEqual(differences(self.sim, self.server.db, ("people",)), [])
        self.assertEqual(self.server.stop(), 0)
        kept = self.everywhere()
        for mark in marks:
            self.assertNotIn(mark.encode(), kept)

    def test_the_seeded_values_of_a_person_too_and_without_a_server(self):
        record = sorted(self.people)[3]
        others = b"".join(json.dumps(r, ensure_ascii=False).encode() for i, r in self.people.items() if i != record)
        hers = {t for t in texts(self.people[record]["values"]) if t.encode() not in others and t != record}
        self.assertTrue(hers)
        request(self.sim.port, "DELETE", f"/v2/objects/people/records/{record}", headers=BEARER)
        self.assertEqual(self.server.stop(), 0)
        kept = self.everywhere()
        self.assertTrue(any(t.encode() in kept for t in hers))
        environment = {"ATTIO_API_KEY": API_KEY, "ATTIO_BASE_URL": self.sim.url, "ATTIO_ENV": "production",
                       "DATABASE_URL": f"sqlite:{self.server.db}", "ATTIOD_INTERNAL_LISTEN": f"127.0.0.1:{free_port()}"}
        code, out, err = run("erase", "people", record, environment=environment)
        self.assertEqual(code, 0, err)
        kept = self.everywhere()
        self.assertEqual([t for t in hers if t.encode() in kept], [])

    def test_under_load_acknowledgements_are_kept_or_refused_honestly(self):
        record = sorted(self.people)[5]
        other = sorted(self.people)[6]
        code, out, err = self.erase("people", record, "--force")
        self.assertEqual(code, 0, err)
        delivery = envelope(event("record.updated", self.sim.workspace_id(), self.object_id, other))
        self.assertEqual(self.server.deliver(delivery)[0], 200)
        # Erased by force while Attio still has it: the next full sync brings it back, as was said.
        code, _, err = run("sync", "people", "--url", f"http://127.0.0.1:{self.server.internal}")
        self.assertEqual(code, 0, err)
        self.server.until_idle()
        until(lambda: not differences(self.sim, self.server.db, ("people",)), "the mirror equals the workspace", 30, 0.2)

    def test_what_cannot_be_erased_is_said(self):
        code, _, err = self.erase("peple", sorted(self.people)[0])
        self.assertEqual(code, 1)
        self.assertIn("no such object", err)
        code, _, err = self.erase("people", "not-an-id")
        self.assertEqual(code, 2)
        self.sim.faults(status=503, route="/v2/objects/", method="GET")
        code, _, err = self.erase("people", sorted(self.people)[0])
        self.assertEqual(code, 4, err)
        self.assertIn("--force", err)


if __name__ == "__main__":
    unittest.main()
