"""Comments that were there before us: a full sync brings them through the threads of every record and entry, also when killed."""

import json
import pathlib
import tempfile
import unittest

from support.attiod import Attiod, Sim, connect, differences, mirror, until
from test_app import run

FAST = {"rateLimit": {"concurrency": 20, "intervalCap": 1000, "readsPerSecond": 1000}}


class Comments(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.config = self.folder / "fast.json"
        self.config.write_text(json.dumps(FAST), encoding="ascii")
        self.sim = Sim(150, 30, 20, 1, ("--limits", "off", "--lists", "2", "--entries", "60", "--comments", "120"))
        self.addCleanup(lambda: self.assertEqual(self.sim.stop(), 0))

    def serve(self, **file):
        self.config.write_text(json.dumps({**FAST, **file}), encoding="ascii")
        server = Attiod(self.sim, self.folder, {"ATTIO_ENV": "development"}, arguments=("--config", str(self.config)))
        self.addCleanup(lambda: server.child.poll() is None and server.kill())
        server.until_idle()
        return server

    def sync(self, server, *more):
        code, out, err = run("sync", "comments", *more, "--url", f"http://127.0.0.1:{server.internal}")
        self.assertEqual(code, 0, out + err)
        return json.loads(out.splitlines()[-1])

    def places(self):
        return sum(len(self.sim.control("GET", f"/state?object={o}")["records"]) for o in (
            "people", "companies", "deals", "list:sales_pipeline", "list:candidates"))

    def test_all_of_records_and_entries_and_what_is_gone(self):
        there = self.sim.control("GET", "/state?object=comments")["records"]
        self.assertEqual({c["entry"] is None for c in there}, {True, False}, "on records and on entries")
        server = self.serve()
        self.assertEqual(mirror(server.db, "comments"), {})
        said = self.sync(server, "--dry-run")
        self.assertEqual((said["created"], said["deleted"]), (len(there), 0))
        self.assertEqual(mirror(server.db, "comments"), {})
        said = self.sync(server)
        self.assertEqual((said["seen"], said["created"], said["calls"]), (len(there), len(there), self.places()))
        self.assertEqual(differences(self.sim, server.db, ("comments",)), [])
        # No webhook tells this server of anything:
        self.sim.control("POST", "/edit", {"count": 80, "objects": ["comments"]})
        self.assertNotEqual(differences(self.sim, server.db, ("comments",)), [])
        said = self.sync(server)
        self.assertGreater(said["deleted"], 0)
        self.assertEqual(differences(self.sim, server.db, ("comments",)), [])
        self.assertEqual(server.stop(), 0)

    def test_killed_in_the_middle_it_goes_on(self):
        server = self.serve()
        self.sim.control("POST", "/requests", {})
        self.sim.faults(route="/v2/threads", kind="latency", latency_ms=50)
        code, _, err = run("sync", "comments", "--no-wait", "--url", f"http://127.0.0.1:{server.internal}")
        self.assertEqual(code, 0, err)

        def pages():
            with connect(server.db) as c:
                return (c.execute("SELECT pages FROM attiod_sync_run WHERE object_slug = 'comments'").fetchone() or [0])[0]
        until(lambda: pages() >= 2, "two batches")
        server.kill()
        self.sim.faults(clear=True)
        server = self.serve()
        with connect(server.db) as c:
            runs = c.execute("SELECT phase, seen FROM attiod_sync_run WHERE object_slug = 'comments'").fetchall()
        self.assertEqual(runs, [(4, len(mirror(server.db, "comments")))])
        self.assertEqual(differences(self.sim, server.db, ("comments",)), [])
        asked = self.sim.requests()["total"]
        self.assertLess(asked, self.places() + 150, "it did not begin anew")
        self.assertEqual(server.stop(), 0)

    def test_at_start_where_it_is_told_to(self):
        server = self.serve(sync={"comments": True})
        self.assertEqual(differences(self.sim, server.db, ("people", "comments")), [])
        self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
