# build: release
# alone: yes
# timeout: 2400
"""Full syncs of a workspace that never rests: edits, inserts and deletes all along, kills in the middle, and at rest all is equal.

ATTIOD_SYNC_RECORDS and ATTIOD_SYNC_SECONDS say how large and how long: 10,000 people and 10 s in `tests/run`, 100,000 and
60 s in `long`.
"""

import json
import os
import pathlib
import random
import re
import tempfile
import time
import unittest

from support.attiod import SANITIZED, Attiod, Sim, connect, free_port, request, until

RECORDS = int(os.environ.get("ATTIOD_SYNC_RECORDS", "10000"))
SECONDS = int(os.environ.get("ATTIOD_SYNC_SECONDS", "10"))
SEED = int(os.environ.get("ATTIOD_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
RSS_MAX_MIB = 48
PART = 2000


class Live(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = pathlib.Path(temporary.name)
        self.random = random.Random(SEED)
        self.port = free_port()
        # Attio's limits are not what is tested here: both sides work without.
        self.config = self.directory / "attiod.json"
        self.config.write_text(json.dumps(
            {"rateLimit": {"concurrency": 10, "intervalCap": 100000, "readsPerSecond": 100000}}))
        print(f"seed {SEED}: {RECORDS} people, {SECONDS} s")

    def sim_of(self, *extra):
        self.sim = Sim(people=RECORDS, companies=20, deals=10, seed=SEED % 1000,
                       extra=("--rate-per-url", "200", "--limits", "off", *extra))
        self.addCleanup(self.sim.stop)
        self.sim.control("POST", "/clock", {"factor": 20})

    def start(self):
        self.server = Attiod(self.sim, self.directory, {"ATTIOD_PUBLIC_URL": f"http://127.0.0.1:{self.port}"},
                             public_port=self.port, arguments=("--config", str(self.config)))
        self.addCleanup(self.server.kill)

    def peak_mib(self):
        status = pathlib.Path(f"/proc/{self.server.child.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024

    def runs(self):
        return request(self.server.internal, "GET", "/api/v1/sync")[1]["data"]

    def sync(self):
        return request(self.server.internal, "POST", "/api/v1/sync/people", {})[1]["data"]["run_id"]

    def people_run(self):
        return next((r for r in self.runs() if r["object"] == "people"), None)

    def done(self, run_id, seconds=600):
        def look():
            run = next((r for r in self.runs() if r["id"] == run_id), None)
            return run if run and run["phase"] in ("done", "failed") else None
        run = until(look, f"run {run_id}", seconds, 0.1)
        self.assertEqual(run["phase"], "done", run)
        return run

    def wrong(self):
        """What is not equal, a part of the workspace at a time."""
        bad, total, after = [], 0, ""
        with connect(self.server.db) as c:
            while True:
                answer = self.sim.control("GET", f"/state?object=people&limit={PART}" + (f"&after={after}" if after else ""))
                part = {r["record_id"]: r for r in answer["records"]}
                if not part:
                    break
                marks = ",".join("?" * len(part))
                rows = dict(c.execute(f"SELECT record_id, _raw FROM people_live WHERE record_id IN ({marks})", list(part)))
                bad += [f"{i}: missing" for i in part.keys() - rows.keys()]
                bad += [f"{i}: differs" for i, raw in rows.items() if json.loads(raw)["values"] != part[i]["values"]]
                total += len(part)
                after = max(part)
            live = c.execute("SELECT count(*) FROM people_live").fetchone()[0]
        return bad + ([f"{live} rows are live, {total} records there"] if live != total else [])

    def assert_equal_at_rest(self):
        until(lambda: not self.sim.control("GET", "/edit")["running"], "the edits' end", SECONDS + 60, 0.1)
        end = time.monotonic() + 180
        while True:  # deliveries may still be on their way
            self.server.until_idle(300)
            wrong = self.wrong()
            if not wrong or time.monotonic() > end:
                break
            until(lambda t=time.monotonic() + 2: time.monotonic() > t, "a while", 5, 0.1)
        self.assertEqual(wrong[:10], [], f"{len(wrong)} in all")

    def edit(self):
        self.sim.control("POST", "/edit", {"objects": ["people"], "edits": 50, "inserts": 50, "deletes": 50,
                                           "seconds": SECONDS})

    def assert_small(self):
        peak = self.peak_mib()
        print(f"peak RSS {peak:.1f} MiB")
        if not SANITIZED:
            self.assertLess(peak, RSS_MAX_MIB)

    def test_syncs_of_a_workspace_that_changes_all_the_time(self):
        self.sim_of("--ties", str(min(3000, RECORDS // 2)))
        self.start()
        until(lambda: self.server.status()["bringup"] is None, "bringup", 60)
        self.edit()
        first = until(self.people_run, "the first run", 60)
        syncs = 1
        self.done(first["id"])
        while self.sim.control("GET", "/edit")["running"]:
            self.done(self.sync())
            syncs += 1
        print(f"{syncs} full syncs while {self.sim.control('GET', '/edit')}")
        self.assert_equal_at_rest()
        self.assert_small()
        last = self.done(self.sync())  # and what no event told is right too: nothing is left to find
        self.assertEqual([last[k] for k in ("created", "updated", "deleted")], [0, 0, 0], last)
        self.assertEqual(self.server.stop(30), 0)

    def test_deletions_that_no_event_told_are_found(self):
        self.sim_of()
        self.start()
        self.server.until_idle(600)
        self.assertEqual(self.server.stop(30), 0)
        self.sim.control("POST", "/clock", {"factor": 100000})  # the deliveries give up meanwhile
        self.sim.control("POST", "/edit", {"objects": ["people"], "count": 300, "kinds": ["delete", "insert", "edit"]})
        webhooks = request(self.sim.port, "GET", "/v2/webhooks", headers={"Authorization": "Bearer sim-key-0123456789abcdef"})[1]
        for w in webhooks["data"]:
            request(self.sim.port, "DELETE", f"/v2/webhooks/{w['id']['webhook_id']}",
                    headers={"Authorization": "Bearer sim-key-0123456789abcdef"})
        self.start()
        until(lambda: self.server.status()["bringup"] is None, "bringup", 60)
        run = self.done(self.sync())
        self.assertGreater(run["deleted"], 50)
        self.assertGreater(run["created"], 50)
        self.assert_equal_at_rest()
        self.assert_small()
        self.assertEqual(self.server.stop(30), 0)

    def test_killed_ten_times_in_the_middle(self):
        self.sim_of()
        self.start()
        until(lambda: self.server.status()["bringup"] is None, "bringup", 60)
        self.edit()
        seen, peaks = [], []
        for _ in range(10):
            moment = time.monotonic() + self.random.uniform(0.05, 0.3 + 3 * RECORDS / 100000)
            until(lambda m=moment: time.monotonic() > m, "a moment", 60, 0.005)
            peaks.append(self.peak_mib())
            self.server.kill()
            self.start()
            until(lambda: self.server.status()["bringup"] is None, "bringup", 60)
            run = self.people_run()
            seen.append((run["id"], run["phase"], run["seen"]))
            if run["phase"] == "done":
                self.sync()
        print(f"after each kill: {seen}; peak RSS {max(peaks):.1f} MiB")
        if not SANITIZED:
            self.assertLess(max(peaks), RSS_MAX_MIB)
        self.assertTrue([s for s in seen if s[1] != "done" and s[2] > 0], "a kill met a run in the middle")
        self.assert_equal_at_rest()
        self.assertEqual({r["phase"] for r in self.runs() if r["object"] == "people"}, {"done"})
        self.assert_small()
        with connect(self.server.db) as c:
            self.assertEqual(c.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        self.assertEqual(self.server.stop(30), 0)
