# build: release debug
# alone: yes
# timeout: 300
"""10,000 events about 500 records cost a handful of calls, and never more than Attio's window allows."""

import tempfile
import unittest

from support.attiod import SANITIZED, Attiod, Sim, differences, envelope, event, post_all, until, wire

EVENTS, RECORDS = 10000, 500


class Storm(unittest.TestCase):
    def test_a_storm_is_folded_into_few_calls_within_the_window(self):
        with tempfile.TemporaryDirectory() as directory:
            sim = Sim(people=RECORDS, companies=20, deals=10)
            self.addCleanup(sim.stop)
            server = Attiod(sim, directory)  # no public URL: the test is the only sender
            server.until_idle(60)
            self.assertEqual(differences(sim, server.db), [])
            object_id, records = sim.state("people")
            ids = sorted(records)
            workspace = sim.workspace_id()
            sim.control("POST", "/edit", {"count": 300, "objects": ["people"], "kinds": ["edit"]})
            self.assertNotEqual(differences(sim, server.db), [])
            load = []
            for i in range(EVENTS):
                key = f"storm-{i}"
                load.append((key, wire(envelope(event("record.updated", workspace, object_id, ids[i % RECORDS])), key)))
            until(lambda: server.status()["attio"]["window_percent"] == 0, "a quiet second first", 10)
            sim.control("POST", "/requests", {"cap": 15, "interval_ms": 1000, "concurrency": 10})
            answers = post_all(server.port, load, connections=16, ahead=64)
            self.assertEqual(len(answers), EVENTS)
            self.assertEqual({status for _, status in answers}, {200})
            until(lambda: server.status()["pending_events"] == 0, "all handled", 60, 0.02)
            self.assertEqual(differences(sim, server.db), [])
            trace = sim.requests()
            print({k: trace[k] for k in ("total", "most_in_second", "most_in_flight", "violations")})
            self.assertLessEqual(trace["most_in_second"], 15)
            self.assertLessEqual(trace["most_in_flight"], 10)
            self.assertEqual(trace["violations"], 0)
            if not SANITIZED:
                self.assertLessEqual(trace["total"], 30)
            self.assertEqual(server.stop(), 0)
