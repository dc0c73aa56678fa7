"""/metrics: text that parses, a fixed set of series whatever comes in, and counts that are the other side's own."""

import json
import re
import tempfile
import unittest
import uuid

from support.attiod import Attiod, Sim, envelope, event, post_all, request, signed, until, wire

NAME = re.compile(r"attiod_[a-z0-9_]+\Z")
SERIES = re.compile(r'([a-z0-9_]+)(?:\{((?:[a-z_]+="[^"\\\n]*"(?:,(?=[a-z]))?)+)\})? (\S+)\Z')
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-", re.I)


def parse(text):
    """{(name, labels): value}; strict: every family with help and type before it, once, no series twice."""
    families, series, family = {}, {}, None
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split(" ", 3)[2]
            assert NAME.match(family) and family not in families and line.split(" ", 3)[3], line
            families[family] = None
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == family and kind in ("counter", "gauge", "histogram"), line
            families[family] = kind
        else:
            match = SERIES.match(line)
            assert match, line
            name, labels, value = match.groups()
            kind = families[family]
            ends = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            assert any(name == family + end for end in ends), line
            assert kind != "counter" or name.endswith("_total"), line
            assert (name, labels) not in series, line
            series[name, labels] = float(value)
    return series


def histogram_is_sound(series, name):
    """Buckets never fall, and the last one is the count."""
    groups = {}
    for (series_name, labels), value in series.items():
        if series_name == name + "_bucket":
            rest = re.sub(r',?le="[^"]*"', "", labels)
            groups.setdefault(rest, []).append(value)
    for rest, values in groups.items():
        count = series[name + "_count", rest or None]
        if values != sorted(values) or values[-1] != count:
            return False
    return bool(groups)


class Metrics(unittest.TestCase):
    def scrape(self, server):
        status, text = request(server.internal, "GET", "/metrics")
        self.assertEqual(status, 200)
        return parse(text.decode())

    def hostile(self, server):
        """Requests and deliveries that name something new each time."""
        for i in range(50):
            request(server.port, "GET", f"/nowhere/{uuid.uuid4()}")
            request(server.port, "POST", f"/webhooks/attio/{uuid.uuid4()}", b"{}", {"Content-Type": "application/json"})
            request(server.internal, "GET", f"/api/v1/events/{i}")
            request(server.internal, "POST", f"/api/v1/sync/{uuid.uuid4()}", {})
            request(server.internal, "GET", "/metrics", headers={"Host": f"h{i}.example.com"})
            request(server.internal, "GET", "/metrics", headers={"Authorization": f"Bearer {uuid.uuid4()}"})
            raw = json.dumps({"webhook_id": str(uuid.uuid4()), "events": [
                {"event_type": f"made-up.{i}", "id": {"workspace_id": str(uuid.uuid4())}}]}).encode()
            self.assertEqual(request(server.port, "POST", "/webhooks/attio", raw, signed(raw))[0], 200)
        bad = [(str(uuid.uuid4()), f"{uuid.uuid4().hex[:8]} / HTTP/1.1\r\nHost: a\r\n\r\n".encode()) for _ in range(20)]
        for one in bad:
            post_all(server.port, [one], connections=1, seconds=10)

    def test_the_set_of_series_is_fixed(self):
        with tempfile.TemporaryDirectory() as folder:
            a = Attiod(None, folder, {"ATTIO_ENABLED": "false"})
            before = self.scrape(a)
            kinds = ["record.created", "record.updated", "record.deleted"]
            deliveries = []
            for i in range(10000):
                key = str(uuid.uuid4())
                deliveries.append((key, wire(envelope(event(kinds[i % 3], *(str(uuid.uuid4()) for _ in range(3)))), key)))
            answers = post_all(a.port, deliveries)
            self.assertEqual(sum(status == 200 for _, status in answers), 10000)
            self.hostile(a)
            after = self.scrape(a)
            self.assertEqual(after.keys(), before.keys())
            self.assertGreater(len(after), 100)
            self.assertEqual([key for key in after if UUID.search(str(key[1]))], [])
            self.assertEqual(after["attiod_webhook_deliveries_total", 'outcome="accepted"'], 10050)
            self.assertEqual(a.stop(), 0)

    def test_it_is_still_fixed_when_records_are_fetched(self):
        with tempfile.TemporaryDirectory() as folder:
            sim = Sim(people=300, companies=100, deals=20)
            a = Attiod(sim, folder)
            a.until_idle()
            before = self.scrape(a)
            object_id, people = sim.state("people")
            workspace = sim.workspace_id()
            keys = [str(uuid.uuid4()) for _ in people]
            post_all(a.port, [(k, wire(envelope(event("record.updated", workspace, object_id, r)), k))
                              for k, r in zip(keys, people)])
            self.hostile(a)
            a.until_idle()
            after = self.scrape(a)
            self.assertEqual(after.keys(), before.keys())
            a.stop()
            sim.stop()

    def test_counts_are_the_simulators_own(self):
        with tempfile.TemporaryDirectory() as folder:
            sim = Sim(people=700, companies=100, deals=20)
            sim.faults(status=500, route="/v2/objects", count=2)
            a = Attiod(sim, folder)
            a.until_idle()
            series = self.scrape(a)
            there = sim.requests()
            for lane, name in (("read", "reads"), ("write", "writes")):
                ours = sum(v for (n, labels), v in series.items()
                           if n == "attiod_attio_requests_total" and f'lane="{lane}"' in labels)
                self.assertEqual(ours, there[name], lane)
            a.stop()
            sim.stop()

    def test_what_an_operator_looks_for_is_there(self):
        with tempfile.TemporaryDirectory() as folder:
            a = Attiod(None, folder, {"ATTIO_ENABLED": "false"})
            until(lambda: self.scrape(a)["attiod_loop_lag_seconds_count", None] > 3, "the loop's lag is looked at")
            series = self.scrape(a)
            for name in ("attiod_loop_lag_seconds", "attiod_webhook_ack_seconds", "attiod_store_commit_seconds",
                         "attiod_attio_request_seconds"):
                self.assertTrue(histogram_is_sound(series, name), name)
            names = {name for name, _ in series}
            for name in ("attiod_process_resident_bytes", "attiod_process_start_time_seconds", "attiod_http_connections",
                         "attiod_auth_failures_total", "attiod_log_dropped_lines_total", "attiod_reloads_total",
                         "attiod_attio_latched", "attiod_attio_429_total", "attiod_inbox_pending_events"):
                self.assertIn(name, names)
            self.assertEqual([v for (n, _), v in series.items() if n == "attiod_build_info"], [1])
            self.assertGreater(series["attiod_process_resident_bytes", None], 1 << 20)
            self.assertEqual(a.stop(), 0)
