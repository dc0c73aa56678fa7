"""SIGHUP: what is marked as reloadable is taken over, all of it or nothing; what is not is named."""

import json
import pathlib
import signal
import tempfile
import unittest

from support.attiod import API_KEY, SECRET, Attiod, Sim, differences, request, until
from test_auth import TOKENS, bearer


class Reload(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)
        self.processes = []

    def tearDown(self):
        for process in reversed(self.processes):
            if process.child.poll() is None:
                process.kill()
        self.folder.cleanup()

    def write(self, name, value):
        text = value if isinstance(value, str) else json.dumps(value)
        (self.path / name).write_text(text, encoding="utf-8")
        return str(self.path / name)

    def serve(self, environment=None, config=None, sim=None):
        more = {} if sim else {"ATTIO_ENABLED": "false"}
        arguments = ["--config", self.write("more.json", config)] if config is not None else []
        self.a = Attiod(sim, self.folder.name, {**more, **(environment or {})}, arguments=arguments)
        self.processes.append(self.a)
        return self.a

    def simulator(self, **sizes):
        sim = Sim(**sizes)
        self.processes.insert(0, sim)
        return sim

    def lines(self, event):
        return [line for line in self.a.lines() if line["event"] == event]

    def reload(self):
        """The one line that a reload ends with."""
        def ends():
            return [line for line in self.a.lines() if line["event"] in ("reloaded", "reload_refused")]
        before = len(ends())
        self.a.child.send_signal(signal.SIGHUP)
        return until(lambda: ends()[before:], "the end of a reload")[0]

    def audit(self, headers=None):
        return [(e["actor"], e["action"], e["target"], e["outcome"])
                for e in request(self.a.internal, "GET", "/api/v1/audit", headers=headers)[1]["data"]]

    def test_without_a_change_nothing_changes(self):
        self.serve()
        line = self.reload()
        self.assertEqual((line["event"], line["changed"], line["needs_restart"]), ("reloaded", "", ""))
        self.assertEqual(self.a.stop(), 0)

    def test_tokens_come_and_go(self):
        tokens = self.write("tokens", f"ana:operate:{TOKENS['operate']}\nprom:metrics:{TOKENS['metrics']}\n")
        self.serve({"ATTIOD_TOKENS_FILE": tokens})

        def status(role):
            return request(self.a.internal, "GET", "/api/v1/events", headers=bearer(TOKENS[role]))[0]

        self.assertEqual([status(r) for r in ("operate", "metrics", "read")], [200, 403, 401])
        self.write("tokens", f"ana:operate:{TOKENS['operate']}\nprom:read:{TOKENS['metrics']}\nbob:read:{TOKENS['read']}\n")
        self.assertEqual(self.reload()["changed"], "ATTIOD_TOKENS")
        self.assertEqual([status(r) for r in ("operate", "metrics", "read")], [200, 200, 200])
        self.write("tokens", f"bob:read:{TOKENS['read']}\n")
        self.assertEqual(self.reload()["changed"], "ATTIOD_TOKENS")
        self.assertEqual([status(r) for r in ("operate", "metrics", "read")], [401, 401, 200])
        self.assertEqual(self.a.stop(), 0)
        log = self.a.log_path.read_text(encoding="utf-8")
        for token in TOKENS.values():
            self.assertNotIn(token, log)

    def test_all_or_nothing_and_every_mistake_is_named(self):
        self.serve({"ATTIOD_TOKENS_FILE": self.write("tokens", f"ana:operate:{TOKENS['operate']}")},
                   {"server": {"allowedHosts": ["one.internal"]}})
        good = bearer(TOKENS["operate"])
        self.write("tokens", f"bob:operate:{TOKENS['read']}")
        self.write("more.json", {"server": {"allowedHosts": ["two.internal"]}, "rateLimit": {"intervalCap": 0},
                                 "log": {"level": "lowd"}})
        self.assertEqual(self.reload()["event"], "reload_refused")
        named = {line["name"] for line in self.lines("configuration") if line["level"] == "error"}
        self.assertEqual(named, {"rateLimit.intervalCap", "log.level"})
        for host, expected in (("one.internal", 200), ("two.internal", 403)):
            self.assertEqual(request(self.a.internal, "GET", "/api/v1/events", headers={**good, "Host": host})[0], expected)
        self.write("more.json", "{")
        self.assertEqual(self.reload()["event"], "reload_refused")
        self.write("more.json", {"server": {"allowedHosts": ["two.internal"]}})
        self.assertEqual(self.reload()["changed"], "ATTIOD_TOKENS,server.allowedHosts")
        good = bearer(TOKENS["read"])
        for host, expected in (("one.internal", 403), ("two.internal", 200)):
            self.assertEqual(request(self.a.internal, "GET", "/api/v1/events", headers={**good, "Host": host})[0], expected)
        until(lambda: self.audit(good) == [("signal", "reload", "ATTIOD_TOKENS,server.allowedHosts", "ok"),
                                           ("signal", "reload", None, "invalid"), ("signal", "reload", None, "invalid")],
              "three entries in the audit log")
        self.assertEqual(self.a.stop(), 0)

    def test_a_file_that_is_gone_changes_nothing(self):
        tokens = self.write("tokens", f"ana:operate:{TOKENS['operate']}")
        self.serve({"ATTIOD_TOKENS_FILE": tokens})
        pathlib.Path(tokens).unlink()
        self.assertEqual(self.reload()["event"], "reload_refused")
        self.assertEqual(request(self.a.internal, "GET", "/api/v1/events", headers=bearer(TOKENS["operate"]))[0], 200)
        self.assertEqual(self.a.stop(), 0)

    def test_what_needs_a_restart_is_named_and_stays(self):
        self.serve(config={"server": {"bodyMax": 4096}})
        self.write("more.json", {"server": {"bodyMax": 8192}, "inbox": {"maxPending": 5}, "rateLimit": {"concurrency": 3}})
        line = self.reload()
        self.assertEqual((line["changed"], line["needs_restart"]), ("rateLimit.concurrency", "server.bodyMax,inbox.maxPending"))
        self.assertEqual(request(self.a.port, "POST", "/webhooks/attio", b"x" * 5000)[0], 413)
        line = self.reload()  # and is named as long as it waits
        self.assertEqual((line["changed"], line["needs_restart"]), ("", "server.bodyMax,inbox.maxPending"))
        self.assertEqual(self.a.stop(), 0)

    def test_the_log_level(self):
        self.serve(config={"log": {"level": "info"}})
        self.write("more.json", {"log": {"level": "error"}})
        self.assertEqual(self.reload()["changed"], "log.level")
        request(self.a.internal, "GET", "/api/v1/events", headers={"Host": "evil"})  # a warning
        self.write("more.json", {"log": {"level": "info"}})
        self.assertEqual(self.reload()["changed"], "log.level")
        self.assertEqual(self.lines("request_refused"), [])
        until(lambda: request(self.a.internal, "GET", "/api/v1/events", headers={"Host": "evil"})
              and self.lines("request_refused"), "the warning, which comes once a second")
        self.assertEqual(self.a.stop(), 0)

    def test_limits_hold_from_the_reload_on(self):
        sim = self.simulator(people=4000, companies=1500, deals=600)
        self.serve(config={"rateLimit": {"intervalCap": 15, "concurrency": 10}}, sim=sim)
        self.a.until_idle()
        self.write("more.json", {"rateLimit": {"intervalCap": 4, "concurrency": 1, "intervalMs": 1000}})
        self.assertEqual(self.reload()["changed"], "rateLimit.concurrency,rateLimit.intervalCap")
        sim.control("POST", "/requests", {"cap": 4, "interval_ms": 1000, "concurrency": 1})
        self.assertEqual(request(self.a.internal, "POST", "/api/v1/sync", {"all": True})[0], 202)
        until(lambda: sim.requests()["total"] >= 10, "calls", 60)
        self.assertEqual(sim.requests()["violations"], 0)
        self.write("more.json", {"rateLimit": {"intervalCap": 50, "concurrency": 5}})
        self.assertEqual(self.reload()["changed"], "rateLimit.concurrency,rateLimit.intervalCap")
        sim.control("POST", "/requests", {"cap": 50, "interval_ms": 1000, "concurrency": 5})
        self.a.until_idle()
        self.assertEqual(sim.requests()["violations"], 0)
        self.assertEqual(differences(sim, self.a.db), [])
        self.assertEqual(self.a.stop(), 0)

    def test_the_age_of_the_schema(self):
        sim = self.simulator(people=3, companies=1, deals=1)
        self.serve(config={"cache": {"schemaTtlMs": 3600000}}, sim=sim)
        self.a.until_idle()
        before = sim.requests()["total"]
        self.write("more.json", {"cache": {"schemaTtlMs": 1000}})
        self.assertEqual(self.reload()["changed"], "cache.schemaTtlMs")
        until(lambda: sim.requests()["total"] > before + 3, "the schema is asked for again")
        self.assertEqual(self.a.stop(), 0)

    def test_writes_are_switched_off_and_on(self):
        sim = self.simulator(people=3, companies=1, deals=1)
        switch = self.write("writes", "true")
        self.serve({"ATTIO_WRITES_ENABLED_FILE": switch, "ATTIOD_PUBLIC_URL": "https://hooks.example.com"}, sim=sim)
        self.a.until_idle()

        def ensure():
            return request(self.a.internal, "POST", "/api/v1/webhooks", {"replace": True})

        hook = ensure()[1]["data"]["id"]
        self.write("writes", "false")
        self.assertEqual(self.reload()["changed"], "ATTIO_WRITES_ENABLED")
        writes = sim.requests()["writes"]
        status, answer = request(self.a.internal, "DELETE", "/api/v1/webhooks/" + hook)
        self.assertEqual((status, answer["code"]), (503, "disabled"))
        self.assertEqual(sim.requests()["writes"], writes)
        self.assertEqual(request(self.a.internal, "GET", "/api/v1/webhooks")[0], 200)  # reading goes on
        self.write("writes", "true")
        self.assertEqual(self.reload()["changed"], "ATTIO_WRITES_ENABLED")
        self.assertEqual(request(self.a.internal, "DELETE", "/api/v1/webhooks/" + hook)[0], 200)
        self.assertEqual(self.a.stop(), 0)

    def test_many_reloads_leave_nothing_behind(self):
        self.serve({"ATTIO_API_KEY": None, "ATTIO_API_KEY_FILE": self.write("key", API_KEY),
                    "ATTIO_WEBHOOK_SECRET": None, "ATTIO_WEBHOOK_SECRET_FILE": self.write("secret", SECRET)})
        for i in range(30):
            self.write("key", f"{API_KEY}-{i % 3}")
            self.write("secret", f"{SECRET}-{i % 2},{SECRET}")
            self.assertEqual(self.reload()["changed"], "ATTIO_API_KEY,ATTIO_WEBHOOK_SECRET")
        self.assertEqual(self.a.stop(), 0)  # under the leak sanitizer

    def test_a_signal_while_it_ends_is_no_reload(self):
        self.serve(config={"server": {"drainDelayMs": 1000}})
        self.a.child.send_signal(signal.SIGTERM)
        until(lambda: self.lines("stopping"), "stopping")
        self.a.child.send_signal(signal.SIGHUP)
        self.assertEqual(self.a.child.wait(15), 0)
        self.assertEqual(self.lines("reloaded"), [])
