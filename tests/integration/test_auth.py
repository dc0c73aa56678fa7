"""Who may use the internal listener: tokens, roles, hosts and origins, on real sockets."""

import contextlib
import http.client
import json
import os
import sqlite3
import tempfile
import unittest
import uuid

from support.attiod import API_KEY, Attiod, Process, Sim, envelope, event, request, until
from test_app import QUIET, run

TOKENS = {
    "metrics": "prom-token-0123456789abcdef",
    "read": "read-token-0123456789abcdef",
    "write": "write-token-0123456789abcde",
    "operate": "ops-token-0123456789abcdef0",
}
ACCESS = {"ATTIOD_TOKENS": ",".join(f"{role}-name:{role}:{token}" for role, token in TOKENS.items())}
ORDER = ["metrics", "read", "write", "operate"]

# Each kind of route with the role it takes.
ROUTES = [
    ("GET", "/metrics", None, "metrics"),
    ("GET", "/api/v1/status", None, "read"),
    ("GET", "/api/v1/events", None, "read"),
    ("GET", "/api/v1/sync", None, "read"),
    ("GET", "/api/v1/schema", None, "read"),
    ("POST", "/api/v1/events/replay", {"state": "dead"}, "operate"),
    ("POST", "/api/v1/events/1/discard", {}, "operate"),
    ("POST", "/api/v1/sync/people", {}, "operate"),
]


@contextlib.contextmanager
def running(process):
    try:
        yield process
    finally:
        process.stop()


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


class Auth(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.server = Attiod(None, cls.folder.name, {**QUIET, **ACCESS})

    @classmethod
    def tearDownClass(cls):
        code = cls.server.stop()
        log = cls.server.log_path.read_text(encoding="utf-8")
        cls.folder.cleanup()
        assert code == 0, code
        for token in TOKENS.values():
            assert token not in log, "a token in the log"

    def ask(self, method, path, body=None, headers=None):
        return request(self.server.internal, method, path, body, headers)

    def test_each_role_reaches_what_it_may_and_no_more(self):
        for method, path, body, needed in ROUTES:
            for role in ORDER:
                with self.subTest(path=path, role=role):
                    status, answer = self.ask(method, path, body, bearer(TOKENS[role]))
                    if ORDER.index(role) >= ORDER.index(needed):
                        self.assertNotIn(status, (401, 403), answer)
                    else:
                        self.assertEqual((status, answer["code"]), (403, "forbidden"))
                        self.assertIn(f"role {needed}, not {role}", answer["detail"])

    def test_without_a_token_or_with_a_wrong_one_it_is_401(self):
        for method, path, body, _ in ROUTES:
            for headers in ({}, bearer("wrong-token-0123456789abcdef"), bearer(TOKENS["operate"] + "0"),
                            bearer(TOKENS["operate"][:-1]), {"Authorization": "Basic b3BzOm9wcw=="}):
                with self.subTest(path=path, headers=headers):
                    status, answer = self.ask(method, path, body, headers)
                    self.assertEqual((status, answer["code"]), (401, "unauthorized"))
        c = http.client.HTTPConnection("127.0.0.1", self.server.internal, timeout=30)
        c.request("GET", "/metrics")
        answer = c.getresponse()
        self.assertEqual(answer.getheader("WWW-Authenticate"), 'Bearer realm="attiod"')
        self.assertEqual(answer.getheader("Content-Type"), "application/problem+json")
        answer.read()
        c.close()

    def test_probes_need_no_token_and_health_says_one_word_without(self):
        for path in ("/healthz", "/readyz"):
            self.assertEqual(self.ask("GET", path)[0], 200)
        self.assertEqual(self.ask("GET", "/health"), (200, {"status": "degraded"}))
        status, answer = self.ask("GET", "/health", headers=bearer(TOKENS["metrics"]))
        self.assertEqual((status, set(answer)), (200, {"status", "dependencies"}))

    def test_a_token_is_no_way_round_the_rules_for_browsers(self):
        good = bearer(TOKENS["operate"])
        self.assertEqual(self.ask("GET", "/api/v1/events", headers={**good, "Host": "evil.example.com"})[0], 403)
        self.assertEqual(self.ask("GET", "/api/v1/events", headers={**good, "Origin": "https://evil"})[0], 403)
        self.assertEqual(self.ask("POST", "/api/v1/events/replay", b"{}", {**good, "Content-Type": "text/plain"})[0], 415)

    def test_refusals_of_the_server_itself_are_problems_too(self):
        good = bearer(TOKENS["operate"])
        for method, path, body, expected in (("GET", "/nowhere", None, 404), ("PUT", "/api/v1/events", {}, 405),
                                             ("POST", "/api/v1/events/replay", b"x" * 70000, 413)):
            status, answer = self.ask(method, path, body, good)
            self.assertEqual((status, answer["status"]), (expected, expected))
            self.assertTrue(answer["detail"])

    def test_failures_are_counted(self):
        def count(reason):
            text = self.ask("GET", "/metrics", headers=bearer(TOKENS["metrics"]))[1].decode()
            line = next(line for line in text.splitlines() if line.startswith(f'attiod_auth_failures_total{{reason="{reason}"}}'))
            return int(line.split()[1])
        for reason, headers in (("no_token", {}), ("bad_token", bearer("no")), ("role", bearer(TOKENS["metrics"])),
                                ("host", {"Host": "evil"}), ("origin", {"Origin": "http://evil"})):
            before = count(reason)
            for _ in range(3):
                self.ask("GET", "/api/v1/status", headers=headers)
            self.assertEqual(count(reason), before + 3, reason)

    def test_nothing_of_it_is_on_the_public_listener(self):
        for method, path, body, _ in ROUTES + [("GET", "/health", None, None)]:
            status, answer = request(self.server.port, method, path, body, bearer(TOKENS["operate"]))
            self.assertEqual((status, answer), (404, b""), path)

    def test_commands_send_their_token(self):
        url = f"http://127.0.0.1:{self.server.internal}"
        self.assertEqual(run("events", "list", "--url", url, environment={"ATTIOD_TOKEN": TOKENS["read"]})[0], 0)
        code, _, err = run("events", "list", "--url", url)
        self.assertEqual(code, 5, err)
        self.assertIn("bearer token", err)
        code, _, err = run("events", "replay", "--state", "dead", "--url", url, environment={"ATTIOD_TOKEN": TOKENS["read"]})
        self.assertEqual(code, 5, err)
        self.assertIn("role operate", err)


class Audit(unittest.TestCase):
    """Everything an operator does is in the audit log, and who looks is not."""

    def test_every_action_is_recorded_with_who_did_it_and_what_came_of_it(self):
        with tempfile.TemporaryDirectory() as folder, running(Sim(people=3, companies=1, deals=1)) as sim:
            a = Attiod(sim, folder, {**ACCESS, "ATTIOD_PUBLIC_URL": "https://hooks.example.com"})
            good = bearer(TOKENS["operate"])
            read = bearer(TOKENS["read"])
            until(lambda: request(a.internal, "GET", "/api/v1/status", headers=read)[1]["data"]["bringup"] is None, "up")
            hooks = request(a.internal, "GET", "/api/v1/webhooks", headers=read)[1]["data"]
            actions = [
                ("POST", "/api/v1/events/replay", {"state": "dead"}, "events.replay", "state=dead type= subject= since=", "ok"),
                ("POST", "/api/v1/events/discard", {"type": "note.*", "dry_run": True}, "events.discard",
                 "state= type=note.* subject= since= dry_run", "ok"),
                ("POST", "/api/v1/events/12345/replay", {}, "events.replay", "12345", "not found"),
                ("POST", "/api/v1/events/12345/discard", {}, "events.discard", "12345", "not found"),
                ("POST", "/api/v1/sync/people", {}, "sync.start", "people", "ok"),
                ("POST", "/api/v1/sync/nosuch", {}, "sync.start", "nosuch", "not found"),
                ("POST", "/api/v1/sync", {"all": True}, "sync.start", "all", "ok"),
                ("POST", "/api/v1/sync/ada@example.com", {}, "sync.start", "?", "not found"),
                ("POST", "/api/v1/webhooks", {}, "webhooks.ensure", None, "ok"),
                ("DELETE", "/api/v1/webhooks/" + hooks[0]["id"], None, "webhooks.delete", hooks[0]["id"], "ok"),
            ]
            for method, path, body, _, _, _ in actions:
                request(a.internal, method, path, body, read)  # refused: no action
                request(a.internal, method, path, body, good)

            def listed():
                entries, cursor = [], ""
                while cursor is not None:
                    status, page = request(a.internal, "GET", "/api/v1/audit?limit=4" + cursor, headers=good)
                    self.assertEqual(status, 200)
                    entries += page["data"]
                    cursor = page["pagination"]["next_cursor"]
                    cursor = cursor and "&cursor=" + cursor
                return all(e["ended_at"] for e in entries) and entries

            entries = until(listed, "all ended")  # no reply waits for the outcome to be durable
            self.assertEqual([(e["action"], e["target"], e["outcome"]) for e in reversed(entries)],
                             [(action, target, outcome) for _, _, _, action, target, outcome in actions])
            for e in entries:
                self.assertEqual(e["actor"], "operate-name")
                self.assertLessEqual(e["at"], e["ended_at"])
            self.assertEqual(request(a.internal, "GET", "/api/v1/audit", headers=read)[0], 403)
            self.assertEqual(a.stop(), 0)
            lines = [line for line in a.lines() if line["event"] == "audit"]
            self.assertEqual([(line["actor"], line["action"], line["outcome"]) for line in lines],
                             [("operate-name", action, outcome) for _, _, _, action, _, outcome in actions])

    def test_without_tokens_it_was_somebody_on_this_machine(self):
        with tempfile.TemporaryDirectory() as folder:
            a = Attiod(None, folder, QUIET)
            self.assertEqual(request(a.internal, "POST", "/api/v1/events/replay", {"state": "dead"})[0], 200)
            entries = request(a.internal, "GET", "/api/v1/audit")[1]["data"]
            self.assertEqual([(e["actor"], e["action"]) for e in entries], [("local", "events.replay")])
            self.assertEqual(a.stop(), 0)

    def test_what_cannot_be_recorded_is_not_done(self):
        with tempfile.TemporaryDirectory() as folder:
            a = Attiod(None, folder, QUIET)
            raw = json.dumps(envelope(event("record.updated", *([str(uuid.uuid4())] * 3)))).encode()
            self.assertEqual(a.deliver(raw)[0], 200)
            with sqlite3.connect(a.db, timeout=30) as db:
                db.execute("DROP TABLE attiod_audit")
            status, answer = request(a.internal, "POST", "/api/v1/events/discard", {"state": "pending"})
            self.assertEqual(status, 503, answer)
            self.assertIn("nothing was done", answer["detail"])
            states = [e["state"] for e in request(a.internal, "GET", "/api/v1/events")[1]["data"]]
            self.assertEqual(states, ["pending"])
            self.assertEqual(a.stop(), 0)


class Clients(unittest.TestCase):
    def test_hosts_that_are_allowed_by_name(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "hosts.json"), "w", encoding="ascii") as f:
                json.dump({"server": {"allowedHosts": ["attiod.internal"]}}, f)
            server = Process("attiod", ["serve", "--config", f.name, "--listen", "127.0.0.1:0", "--no-webhooks",
                                        "--internal-listen", "127.0.0.1:0"],
                             {"ATTIO_API_KEY": API_KEY, "DATABASE_URL": f"sqlite:{folder}/attiod.db", **QUIET, **ACCESS,
                              "ATTIOD_TRUSTED_PROXIES": "127.0.0.0/8"})
            port = server.listening("internal")
            good = bearer(TOKENS["read"])
            for host, expected in (("attiod.internal:8081", 200), ("localhost", 200), ("attiod.internal.evil", 403)):
                self.assertEqual(request(port, "GET", "/api/v1/events", headers={**good, "Host": host})[0], expected, host)
            self.assertEqual(server.stop(), 0)
            lines = [line for line in server.lines() if line["event"] == "request_refused"]
            self.assertEqual([line["why"] for line in lines], ["host"])

    def test_the_client_behind_a_trusted_proxy_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            server = Attiod(None, folder, {**QUIET, **ACCESS, "ATTIOD_TRUSTED_PROXIES": "127.0.0.0/8,::1"})
            request(server.internal, "GET", "/metrics", headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.7"})
            self.assertEqual(server.stop(), 0)
            lines = [line for line in server.lines() if line["event"] == "request_refused"]
            self.assertEqual([(line["why"], line["client"]) for line in lines], [("no_token", "198.51.100.7")])

