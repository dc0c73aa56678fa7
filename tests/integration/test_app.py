"""attiod as its operator meets it: check, version, what serve refuses and how it ends.

No simulator: nothing here needs Attio, and with ATTIO_ENABLED=false nothing asks for it.
"""

import json
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import tempfile
import time
import unittest

from support.attiod import (API_KEY, BUILD, SECRET, Attiod, Process, connect, envelope, event, post_all, request,
                            signed, until, wire)

WORKSPACE = "14beef7a-99f7-4534-a87e-70b564330a4c"
OBJECT = "97052eb9-e65e-443f-a297-f2d9a4a7f795"
RECORD = "bf071e1f-6035-429d-b874-d83ea64ea13b"
QUIET = {"ATTIO_ENABLED": "false"}


def run(*arguments, environment=None, directory=None, seconds=60):
    """(exit code, stdout, stderr) of one command."""
    base = {k: v for k, v in os.environ.items()
            if not k.startswith(("ATTIO", "DATABASE_URL", "PORT", "NODE_ENV", "LOG_LEVEL", "REDIS_URL"))}
    done = subprocess.run([str(BUILD / "attiod"), *arguments], env={**base, **(environment or {})}, cwd=directory,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


class Commands(unittest.TestCase):
    def test_version_names_program_and_libraries(self):
        code, out, _ = run("version")
        self.assertEqual(code, 0)
        answer = json.loads(out)
        self.assertEqual(set(answer["libraries"]), {"libuv", "llhttp", "mbedTLS", "SQLite", "yajl"})
        code, out, _ = run("--version")
        self.assertEqual((code, out.split()[0]), (0, "attiod"))

    def test_usage_is_2(self):
        for arguments in ([], ["srve"], ["serve", "--frobnicate"], ["sync"], ["sync", "people", "--all"],
                          ["events", "lst"], ["webhooks", "delete", "x"]):
            with self.subTest(arguments=arguments):
                code, out, err = run(*arguments, environment={"ATTIOD_URL": "http://127.0.0.1:9"})
                self.assertEqual((code, out), (2, ""), err)
        self.assertIn("did you mean serve", run("srve")[2])

    def test_help_is_0(self):
        code, out, _ = run("--help")
        self.assertEqual(code, 0)
        for word in ("serve", "check", "sync", "webhooks", "events", "version"):
            self.assertIn(word, out)
            self.assertEqual(run(word, "--help")[0], 0)

    def test_commands_without_a_server_say_so(self):
        for arguments in (["sync", "people"], ["events", "list"], ["webhooks", "list"]):
            with self.subTest(arguments=arguments):
                code, _, err = run(*arguments, "--url", "http://127.0.0.1:9")
                self.assertEqual(code, 1)
                self.assertIn("no server answers at http://127.0.0.1:9; start attiod serve", err)


class Check(unittest.TestCase):
    GOOD = {"ATTIO_API_KEY": API_KEY, "ATTIO_WEBHOOK_SECRET": SECRET, "ATTIO_BASE_URL": "http://127.0.0.1:4010"}

    def test_each_environment_is_good(self):
        values = {"development": (60000, 10000, 2, 5), "staging": (300000, 60000, 5, 8),
                  "production": (1800000, 300000, 10, 15)}
        for env, expected in values.items():
            code, out, _ = run("check", "--print", environment={**self.GOOD, "ATTIO_ENV": env})
            self.assertEqual(code, 0, out)
            answer = json.loads(out)
            got = tuple(int(answer["values"][k]["value"]) for k in (
                "cache.schemaTtlMs", "cache.recordTtlMs", "rateLimit.concurrency", "rateLimit.intervalCap"))
            self.assertEqual((answer["env"], got), (env, expected))
            self.assertTrue(answer["values"]["rateLimit.concurrency"]["origin"].endswith(f"attio.{env}.json"))

    def test_all_errors_come_at_once_and_the_code_is_3(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "extra.json")
            with open(path, "w", encoding="ascii") as f:
                f.write('{\n"rateLimit": { "intervalCap": 0 },\n"servr": {}\n}\n')
            code, out, _ = run("check", "--config", path, environment={"ATTIO_ENV": "production"})
            self.assertEqual(code, 3)
            answer = json.loads(out)
            errors = {(e["key"], e.get("line")) for e in answer["errors"]}
            self.assertFalse(answer["ok"])
            self.assertEqual(errors, {("rateLimit.intervalCap", 2), ("servr", 3), ("ATTIO_API_KEY", None),
                                      ("ATTIO_WEBHOOK_SECRET", None)})
            code, out, _ = run("check", "--output", "text", "--config", path, environment=self.GOOD)
            self.assertEqual(code, 3)
            self.assertIn(f"{path}:2: rateLimit.intervalCap: must be between", out)
            self.assertIn("2 errors in the configuration", out)

    def test_nothing_that_is_printed_holds_a_secret(self):
        for output in ("text", "json"):
            code, out, err = run("check", "--print", "--output", output, environment=self.GOOD)
            self.assertEqual(code, 0, err)
            self.assertNotIn(API_KEY, out + err)
            self.assertNotIn(SECRET, out + err)
            self.assertIn("***", out)

    def test_the_working_directory_is_no_place_for_configuration(self):
        with tempfile.TemporaryDirectory() as directory:
            with open(os.path.join(directory, "attio.development.json"), "w", encoding="ascii") as f:
                f.write("no json")
            code, out, _ = run("check", environment=self.GOOD, directory=directory)
            self.assertEqual(code, 0, out)


class Refusals(unittest.TestCase):
    """serve ends before it listens, with the code and the name of what is wrong."""

    def refused(self, code, part, environment, *arguments):
        with tempfile.TemporaryDirectory() as directory:
            settings = {"ATTIO_API_KEY": API_KEY, "ATTIO_WEBHOOK_SECRET": SECRET,
                        "ATTIO_BASE_URL": "http://127.0.0.1:9", "DATABASE_URL": "sqlite:a.db",
                        "ATTIOD_LISTEN": "127.0.0.1:0", "ATTIOD_INTERNAL_LISTEN": "127.0.0.1:0", **environment}
            settings = {k: v for k, v in settings.items() if v is not None}
            got, out, err = run("serve", *arguments, environment=settings, directory=directory)
            self.assertEqual(got, code, out + err)
            self.assertIn(part, err)
            self.assertNotIn('"listening"', out)

    def test_configuration_is_3(self):
        self.refused(3, "ATTIO_API_KEY", {"ATTIO_API_KEY": None})
        self.refused(3, "--no-webhooks", {"ATTIO_WEBHOOK_SECRET": None})
        self.refused(3, "empty", {"ATTIO_WEBHOOK_SECRET": ""})
        self.refused(3, "ATTIOD_TOKENS", {"ATTIOD_INTERNAL_LISTEN": "0.0.0.0:0"})
        self.refused(3, "ATTIOD_TOKENS", {"ATTIOD_TOKENS": "ops:operate:too-short"})
        self.refused(3, "/nowhere/ca.pem", {"ATTIO_BASE_URL": None, "ATTIO_ENABLED": None, "SSL_CERT_FILE": "/nowhere/ca.pem"})
        self.refused(3, "PostgreSQL", {"DATABASE_URL": "postgresql://localhost/attiod"})
        self.refused(3, "did you mean production", {"ATTIO_ENV": "producton"})

    def test_a_database_that_cannot_be_opened_is_6(self):
        self.refused(6, "database", {"DATABASE_URL": "sqlite:/proc/nowhere/a.db"})
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "garbage.db")
            with open(path, "wb") as f:
                f.write(b"this is no database " * 500)
            self.refused(6, "garbage.db", {"DATABASE_URL": f"sqlite:{path}"})

    def test_a_newer_database_is_6(self):
        with tempfile.TemporaryDirectory() as directory:
            a = Attiod(None, directory, QUIET)
            self.assertEqual(a.stop(), 0)
            with sqlite3.connect(a.db) as db:
                db.execute("PRAGMA user_version = 9999")
            self.refused(6, "9999", {"DATABASE_URL": f"sqlite:{a.db}", **QUIET})

    def test_a_second_server_on_the_same_file_is_6(self):
        with tempfile.TemporaryDirectory() as directory:
            a = Attiod(None, directory, QUIET)
            self.refused(6, "attiod.db", {"DATABASE_URL": f"sqlite:{a.db}", **QUIET})
            self.assertEqual(a.stop(), 0)

    def test_a_port_in_use_is_1_and_leaves_nothing_open(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            port = s.getsockname()[1]
            self.refused(1, str(port), {"ATTIOD_LISTEN": f"127.0.0.1:{port}", **QUIET})


class Serving(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.running = []
        self.addCleanup(lambda: [a.kill() for a in self.running if a.child.poll() is None])

    def serve(self, environment=None, arguments=()):
        a = Attiod(None, self.folder.name, {**QUIET, **(environment or {})}, arguments=arguments)
        self.running.append(a)
        return a

    def delivery(self):
        return envelope(event("record.updated", WORKSPACE, OBJECT, RECORD))

    def test_it_starts_listens_and_says_so(self):
        a = self.serve()
        start = next(line for line in a.lines() if line["event"] == "start")
        self.assertEqual((start["env"], start["attio_enabled"]), ("production", False))
        self.assertEqual({line["name"] for line in a.lines() if line["event"] == "listening"}, {"public", "internal"})
        for port in (a.port, a.internal):
            self.assertEqual(request(port, "GET", "/healthz")[0], 200)
            self.assertEqual(request(port, "GET", "/readyz"), (200, b"ready\n"))
        self.assertEqual(stat.S_IMODE(os.stat(a.db).st_mode), 0o600)
        self.assertEqual(a.stop(), 0)

    def test_an_idle_server_ends_within_2_s_and_its_port_is_free_at_once(self):
        a = self.serve()
        began = time.monotonic()
        self.assertEqual(a.stop(), 0)
        self.assertLess(time.monotonic() - began, 2)
        with socket.socket() as s:
            s.bind(("127.0.0.1", a.port))
        self.assertEqual([line["event"] for line in a.lines()][-1], "stopped")

    def test_a_stalled_client_does_not_hold_the_end_up(self):
        a = self.serve()
        with socket.create_connection(("127.0.0.1", a.port)) as s:
            s.sendall(b"POST /webhooks/attio HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                      b"Content-Length: 100\r\n\r\n{")
            until(lambda: "attiod_http_connections{listener=\"public\"} 1" in self.metrics(a), "the connection")
            began = time.monotonic()
            self.assertEqual(a.stop(), 0)
            self.assertLess(time.monotonic() - began, 10)

    def metrics(self, a):
        return request(a.internal, "GET", "/metrics")[1].decode()

    def test_a_request_under_way_is_answered_before_the_end(self):
        a = self.serve()
        raw = json.dumps(self.delivery()).encode()
        with socket.create_connection(("127.0.0.1", a.port)) as s:
            head = "".join(f"{k}: {v}\r\n" for k, v in signed(raw).items())
            s.sendall(f"POST /webhooks/attio HTTP/1.1\r\nHost: x\r\n{head}Content-Length: {len(raw)}\r\n\r\n".encode()
                      + raw[:10])
            until(lambda: "attiod_http_connections{listener=\"public\"} 1" in self.metrics(a), "the connection")
            a.child.send_signal(signal.SIGTERM)
            until(lambda: any(line["event"] == "stopping" for line in a.lines()), "stopping")
            s.sendall(raw[10:])
            answer = s.makefile("rb").read()
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer)
        self.assertIn(b"Connection: close", answer)
        self.assertEqual(a.child.wait(10), 0)

    def test_under_load_it_ends_in_order_and_keeps_what_it_acknowledged(self):
        a = self.serve()
        deliveries = [(f"key-{i}", wire(self.delivery(), f"key-{i}")) for i in range(3000)]
        signalled = []

        def on_the_way():
            found = signalled or re.search(r"^attiod_events_accepted_total (\d+)", self.metrics(a), re.M)
            if not signalled and found and int(found.group(1)) > 200:
                signalled.append(a.child.send_signal(signal.SIGTERM))
            return False

        answers = post_all(a.port, deliveries, connections=16, ahead=4, stop=on_the_way)
        self.assertEqual(a.child.wait(10), 0)
        acknowledged = {key for key, status in answers if status == 200}
        self.assertEqual({status for _, status in answers} - {200}, set())
        self.assertGreater(len(acknowledged), 200)
        self.assertLess(len(acknowledged), len(deliveries))
        b = self.serve()
        stored = set()
        cursor = ""
        while True:
            _, page = request(b.internal, "GET", f"/api/v1/events?limit=500{cursor}")
            stored |= {e["idempotency_key"] for e in page["data"]}
            if page["pagination"]["next_cursor"] is None:
                break
            cursor = "&cursor=" + page["pagination"]["next_cursor"]
        self.assertEqual(acknowledged - stored, set())
        self.assertEqual(b.stop(), 0)

    def test_readiness_drops_before_the_listeners_close(self):
        with open(os.path.join(self.folder.name, "drain.json"), "w", encoding="ascii") as f:
            f.write('{"server": {"drainDelayMs": 1500}}')
        a = self.serve(arguments=["--config", f.name])
        began = time.monotonic()
        a.child.send_signal(signal.SIGTERM)
        until(lambda: request(a.port, "GET", "/readyz")[0] == 503, "not ready")
        self.assertEqual(request(a.port, "GET", "/healthz")[0], 200)
        self.assertEqual(a.deliver(self.delivery())[0], 200)
        self.assertEqual(a.child.wait(10), 0)
        self.assertGreater(time.monotonic() - began, 1.4)

    def test_a_second_signal_ends_at_once(self):
        with open(os.path.join(self.folder.name, "drain.json"), "w", encoding="ascii") as f:
            f.write('{"server": {"drainDelayMs": 60000}}')
        a = self.serve(arguments=["--config", f.name])
        a.child.send_signal(signal.SIGTERM)
        until(lambda: request(a.port, "GET", "/readyz")[0] == 503, "not ready")
        a.child.send_signal(signal.SIGTERM)
        self.assertEqual(a.child.wait(5), 1)

    def test_a_delivery_is_durable_once_acknowledged(self):
        a = self.serve()
        status, answer = a.deliver(self.delivery(), key="the-key")
        self.assertEqual((status, answer), (200, {"accepted": 1, "duplicate": 0}))
        status, answer = a.deliver(self.delivery(), key="the-key")
        self.assertEqual((status, answer), (200, {"accepted": 0, "duplicate": 1}))
        a.kill()
        b = self.serve()
        status, answer = request(b.internal, "GET", "/api/v1/events")
        self.assertEqual(status, 200)
        self.assertEqual([e["state"] for e in answer["data"]], ["pending"])
        self.assertEqual(answer["data"][0]["idempotency_key"], "the-key")
        self.assertIsNone(answer["pagination"]["next_cursor"])
        status, answer = b.deliver(self.delivery(), key="the-key")
        self.assertEqual((status, answer), (200, {"accepted": 0, "duplicate": 1}))
        self.assertEqual(b.stop(), 0)

    def test_the_receiver_refuses_as_the_contract_says(self):
        a = self.serve()
        raw = json.dumps(self.delivery()).encode()
        good = signed(raw)
        cases = [
            (401, raw, {"Content-Type": "application/json"}),
            (401, raw, {**good, "Attio-Signature": "0" * 64, "X-Attio-Signature": "0" * 64}),
            (401, raw, {**good, "X-Attio-Signature": "0" * 64}),
            (401, raw + b" ", good),
            (415, raw, {**good, "Content-Type": "text/plain"}),
            (413, b"x" * (1048576 + 1), good),
            (400, raw, {**good, "Idempotency-Key": "k" * 256}),
            (200, raw, {**good, "Idempotency-Key": "k" * 255}),
            (200, raw, {k: v for k, v in good.items() if k != "X-Attio-Signature"}),
            (200, raw, {k: v.upper() if "Signature" in k else v for k, v in good.items()}),
        ]
        for expected, body, headers in cases:
            status, answer = request(a.port, "POST", "/webhooks/attio", body, headers)
            self.assertEqual(status, expected, (answer, headers.keys()))
            if expected != 200:
                self.assertEqual(answer, b"")
        broken = b'{"events": ['
        self.assertEqual(request(a.port, "POST", "/webhooks/attio", broken, signed(broken))[0], 200)
        status, answer = request(a.internal, "GET", "/api/v1/events?state=quarantined")
        self.assertEqual(len(answer["data"]), 1)
        self.assertEqual(request(a.port, "GET", "/webhooks/attio")[0], 405)
        self.assertEqual(request(a.port, "GET", "/api/v1/events")[0], 404)
        self.assertEqual(a.stop(), 0)

    def bare(self, environment, *arguments):
        """A server with these variables and no others; its public port."""
        a = Process("attiod", ["serve", "--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0", *arguments],
                    {"DATABASE_URL": f"sqlite:{self.folder.name}/attiod.db", **QUIET, **environment})
        self.running.append(a)
        return a, a.listening("public")

    def test_without_a_secret_the_receiver_waits_for_one(self):
        a, port = self.bare({"ATTIO_API_KEY": API_KEY, "ATTIOD_PUBLIC_URL": "https://hooks.example.com"})
        raw = json.dumps(self.delivery()).encode()
        self.assertEqual(request(port, "POST", "/webhooks/attio", raw, signed(raw, ""))[0], 503)
        self.assertEqual(request(port, "GET", "/readyz")[0], 200)
        self.assertEqual(a.stop(), 0)

    def test_without_webhooks_there_is_no_receiver(self):
        a, port = self.bare({"ATTIO_API_KEY": API_KEY}, "--no-webhooks")
        raw = json.dumps(self.delivery()).encode()
        self.assertEqual(request(port, "POST", "/webhooks/attio", raw, signed(raw, ""))[0], 404)
        self.assertEqual(a.stop(), 0)

    def test_a_public_url_in_development_is_warned_about(self):
        a, _ = self.bare({"ATTIO_API_KEY": API_KEY, "ATTIOD_PUBLIC_URL": "https://hooks.example.com"})
        warnings = [line for line in a.lines() if line["level"] == "warn" and line["event"] == "configuration"]
        self.assertEqual([w["name"] for w in warnings], ["ATTIO_ENV"])
        self.assertEqual(a.stop(), 0)

    def test_secrets_may_come_from_files(self):
        paths = []
        for name, value in (("key", API_KEY), ("secret", SECRET)):
            paths.append(os.path.join(self.folder.name, name))
            with open(paths[-1], "w", encoding="ascii") as f:
                f.write(value + "\n")
        a, port = self.bare({"ATTIO_API_KEY_FILE": paths[0], "ATTIO_WEBHOOK_SECRET_FILE": paths[1]})
        raw = json.dumps(self.delivery()).encode()
        self.assertEqual(request(port, "POST", "/webhooks/attio", raw, signed(raw))[0], 200)
        self.assertEqual(a.stop(), 0)
        self.assertNotIn(SECRET.encode(), a.log_path.read_bytes())

    def test_events_are_operated_from_the_command_line(self):
        a = self.serve()
        for key in ("a", "b", "c"):
            self.assertEqual(a.deliver(self.delivery(), key=key)[0], 200)
        url = f"http://127.0.0.1:{a.internal}"
        code, out, err = run("events", "list", "--limit", "2", "--url", url)
        self.assertEqual(code, 0, err)
        answer = json.loads(out)
        self.assertEqual(len(answer["data"]), 2)
        code, out, err = run("events", "list", "--output", "text", "--cursor", answer["pagination"]["next_cursor"],
                             "--url", url)
        self.assertEqual((code, out.count("record.updated")), (0, 1), err)
        one = str(answer["data"][0]["id"])
        code, out, err = run("events", "show", one, "--url", url)
        self.assertEqual(json.loads(out)["data"]["subject"], f"record:{RECORD}", err)
        code, out, err = run("events", "discard", one, "--dry-run", "--url", url)
        self.assertEqual(json.loads(out)["data"], {"events": 1, "dry_run": True}, err)
        code, out, err = run("events", "discard", one, "--url", url)
        self.assertEqual(json.loads(out)["data"], {"events": 1, "dry_run": False}, err)
        code, out, err = run("events", "replay", "--state", "discarded", environment={"ATTIOD_URL": url})
        self.assertEqual(json.loads(out)["data"]["events"], 1, err)
        self.assertEqual(run("events", "show", "999999", "--url", url)[0], 1)
        code, _, err = run("events", "list", "--state", "ded", "--url", url)
        self.assertEqual(code, 2)
        self.assertIn("did you mean", err)
        code, _, err = run("events", "replay", "--url", url)
        self.assertEqual(code, 2)
        self.assertIn("at least one of", err)
        with connect(a.db) as db:
            self.assertEqual(db.execute("PRAGMA integrity_check").fetchone()[0], "ok")
        self.assertEqual(a.stop(), 0)

    def test_a_browser_elsewhere_cannot_reach_the_internal_listener(self):
        a = self.serve()
        self.assertEqual(request(a.internal, "GET", "/api/v1/events", headers={"Host": "evil.example.com"})[0], 403)
        self.assertEqual(request(a.internal, "GET", "/api/v1/events", headers={"Origin": "https://evil"})[0], 403)
        self.assertEqual(request(a.internal, "POST", "/api/v1/events/replay", b"{}",
                                 {"Content-Type": "text/plain"})[0], 415)
        status, answer = request(a.internal, "GET", "/api/v1/events/12")
        self.assertEqual((status, answer["code"]), (404, "notfound"))
        self.assertEqual(a.stop(), 0)

    def test_switched_off_it_still_stores_and_says_that_it_is_degraded(self):
        a = self.serve()
        status, answer = request(a.internal, "GET", "/health")
        self.assertEqual((status, answer["status"]), (200, "degraded"))
        self.assertEqual(answer["dependencies"]["attio"]["state"], "disabled")
        code, _, err = run("sync", "people", "--url", f"http://127.0.0.1:{a.internal}")
        self.assertEqual(code, 1, err)
        self.assertEqual(a.status()["version"], run("--version")[1].split()[1])
        self.assertEqual(a.stop(), 0)
