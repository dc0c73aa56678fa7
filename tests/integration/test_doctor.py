# takes: 20
"""attiod doctor: all is well, and each layer failing with its own words and exit code; over http and over TLS."""

import http.client
import http.server
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time
import unittest
from email.utils import formatdate

from support.attiod import API_KEY, SECRET, Attiod, Sim, free_port, request, until
from test_app import run

SOURCE = pathlib.Path(os.environ.get("ATTIOD_SOURCE_DIR", "."))
NETWORK = ["dns", "tcp", "tls", "attio"]
ALL = ["configuration", "server", "database", *NETWORK, "clock", "token", "scope object_configuration",
       "scope record_permission", "scope list_configuration", "scope list_entry", "scope note", "scope task", "scope comment",
       "scope user_management", "webhook"]


class Front:
    """Passes calls on to attio-sim, and changes what `edit(status, headers, answer)` likes of the answers."""

    def __init__(self, sim, edit):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                c = http.client.HTTPConnection("127.0.0.1", sim.port, timeout=30)
                c.request("GET", self.path, headers={"Authorization": self.headers["Authorization"]})
                answer = c.getresponse()
                headers = {"Date": formatdate(usegmt=True), "Content-Type": "application/json"}
                status, headers, body = edit(answer.status, headers, json.loads(answer.read()))
                c.close()
                raw = json.dumps(body).encode()
                self.send_response_only(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sim = Sim(people=3, companies=1, deals=1)
        cls.addClassCleanup(cls.sim.kill)

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.db = pathlib.Path(self.folder.name) / "attiod.db"

    def settings(self, **more):
        return {"ATTIO_API_KEY": API_KEY, "ATTIO_WEBHOOK_SECRET": SECRET, "ATTIO_BASE_URL": self.sim.url,
                "DATABASE_URL": f"sqlite:{self.db}", "ATTIOD_INTERNAL_LISTEN": f"127.0.0.1:{free_port()}", **more}

    def doctor(self, *arguments, **more):
        """(exit code, {layer: check}); no layer twice, no secret, and nobody complains beside."""
        code, out, err = run("doctor", *arguments, environment=self.settings(**more))
        self.assertEqual(err, "")
        self.assertNotIn(API_KEY, out)
        answer = json.loads(out)
        found = {c["layer"]: c for c in answer["checks"]}
        self.assertEqual(len(found), len(answer["checks"]))
        self.assertEqual(answer["ok"], code == 0)
        return code, found

    def finds(self, layer, finding, words, code, found, expect):
        self.assertEqual(found[layer]["finding"], finding, found)
        self.assertRegex(found[layer]["detail"], words)
        self.assertEqual(code, expect, found)


class Doctor(Case):
    def front(self, edit):
        front = Front(self.sim, edit)
        self.addCleanup(front.close)
        return {"ATTIO_BASE_URL": front.url}

    # --- well ---

    def test_all_is_well_and_in_order(self):
        code, found = self.doctor()
        self.assertEqual(code, 0, found)
        self.assertEqual(list(found), ALL)
        self.assertEqual({c["layer"] for c in found.values() if c["finding"] != "ok"}, {"server", "tls", "webhook"})
        self.assertTrue(all(c["ms"] >= 0 for c in found.values()))
        self.assertRegex(found["token"]["detail"], r"^workspace \S+ \([0-9a-f-]{36}\)$")
        self.assertFalse(self.db.exists())

    def test_people_get_lines_with_times(self):
        code, out, err = run("doctor", "--output", "text", environment=self.settings())
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(len(out.splitlines()), len(ALL))
        for layer, line in zip(ALL, out.splitlines()):
            self.assertRegex(line, rf"^{layer} +(ok|skipped) +\d+ ms  \S")

    def test_a_name_is_resolved(self):
        code, found = self.doctor(ATTIO_BASE_URL=f"http://localhost:{self.sim.port}")
        self.finds("dns", "ok", "^localhost has an address$", code, found, 0)

    def test_a_server_that_runs_is_asked(self):
        server = Attiod(self.sim, self.folder.name)
        self.addCleanup(server.kill)
        server.until_idle()
        code, found = self.doctor(ATTIOD_INTERNAL_LISTEN=f"127.0.0.1:{server.internal}")
        self.finds("server", "ok", r"^ok \(attio: ok, webhook: ", code, found, 0)
        self.finds("database", "ok", "^the server has it: ok$", code, found, 0)
        # One that has the database and is asked at the wrong place:
        code, found = self.doctor()
        self.finds("server", "skipped", "none runs", code, found, 6)
        self.finds("database", "failed", "does not answer where it is asked", code, found, 6)
        # Without a token it tells one word.
        self.assertEqual(server.stop(), 0)
        server = Attiod(self.sim, self.folder.name, {"ATTIOD_TOKENS": "ana:metrics:" + "t" * 20})
        self.addCleanup(server.kill)
        until(lambda: request(server.internal, "GET", "/health")[1]["status"] == "ok", "up")
        code, found = self.doctor("--url", f"http://127.0.0.1:{server.internal}")
        self.finds("database", "skipped", "not told without ATTIOD_TOKEN", code, found, 0)
        code, found = self.doctor("--url", f"http://127.0.0.1:{server.internal}", ATTIOD_TOKEN="t" * 20)
        self.finds("database", "ok", "the server has it: ok", code, found, 0)

    def test_a_named_server_that_is_not_there_is_a_failure(self):
        code, found = self.doctor("--url", f"http://127.0.0.1:{free_port()}")
        self.finds("server", "failed", "no server answers at", code, found, 1)
        code, found = self.doctor("--url", self.sim.url)
        self.finds("server", "failed", "404|no attiod", code, found, 1)

    def test_a_server_that_is_not_well_says_of_what(self):
        sim = Sim(people=3, companies=1, deals=1)
        self.addCleanup(sim.kill)
        server = Attiod(sim, self.folder.name)
        self.addCleanup(server.kill)
        server.until_idle()
        sim.kill()
        at = {"ATTIOD_INTERNAL_LISTEN": f"127.0.0.1:{server.internal}", "ATTIO_BASE_URL": sim.url}
        until(lambda: self.doctor(**at)[1]["server"]["finding"] == "warning", "the server sees that Attio is away")
        code, found = self.doctor(**at)
        self.finds("server", "warning", r"^degraded \(attio: degraded", code, found, 4)

    # --- configuration, database ---

    def test_a_wrong_configuration_is_3_and_ends_it(self):
        code, found = self.doctor(ATTIO_ENABLED="perhaps", PORT="x")
        self.finds("configuration", "failed", "^attiod check lists what is wrong: 2 mistakes$", code, found, 3)
        self.assertEqual(list(found), ["configuration"])

    def test_calls_that_are_switched_off_are_not_made(self):
        before = self.sim.requests()["total"]
        code, found = self.doctor(ATTIO_ENABLED="false")
        self.finds("attio", "skipped", "switched off", code, found, 0)
        self.assertEqual(self.sim.requests()["total"], before)

    def test_databases(self):
        def database(finding, words, expect, **more):
            code, found = self.doctor(**more)
            self.finds("database", finding, words, code, found, expect)

        database("ok", "^none yet; serve makes ", 0, DATABASE_URL=f"sqlite:{self.folder.name}/a/b/c.db")
        database("failed", "/dev/null/attiod.db: .*Not a directory", 6, DATABASE_URL="sqlite:/dev/null/attiod.db")
        self.db.write_bytes(b"this is no database, and was none before" * 200)
        database("failed", "not a database", 6)
        self.db.unlink()
        self.assertEqual(run("migrate", environment=self.settings())[0], 0)
        template = self.db.read_bytes()
        database("ok", r"^tables of version \d, a transaction was made durable$", 0)
        with sqlite3.connect(self.db) as c:
            self.assertEqual(c.execute("SELECT count(*) FROM attiod_audit").fetchone()[0], 0)
            c.execute("PRAGMA user_version = 99")
        c.close()
        database("failed", "has tables of version 99", 6)
        for name in (self.db, self.db.with_name("attiod.db-wal"), self.db.with_name("attiod.db-shm")):
            name.unlink(missing_ok=True)
        self.db.write_bytes(b"")
        database("warning", "^tables of version 0; serve .or attiod migrate. brings them to ", 7)
        self.db.write_bytes(template)
        holder = sqlite3.connect(self.db, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        database("failed", "lock", 6)
        holder.close()

    # --- the way to Attio ---

    def test_a_name_that_nobody_knows(self):
        code, found = self.doctor(ATTIO_BASE_URL="https://attio.invalid")
        self.finds("dns", "failed", "attio.invalid", code, found, 4)
        self.assertEqual([found[n]["finding"] for n in ("tcp", "attio")], ["skipped"] * 2)
        self.assertNotIn("token", found)

    def test_a_port_where_nothing_listens(self):
        code, found = self.doctor(ATTIO_BASE_URL=f"http://127.0.0.1:{free_port()}")
        self.finds("dns", "ok", "is an address", code, found, 4)
        self.finds("tcp", "failed", "refused", code, found, 4)

    def test_an_attio_that_is_sick(self):
        for fault, words in (({"status": 503}, "status 503 Service Unavailable"), ({"status": 429}, "status 429"),
                             ({"kind": "garbage"}, "."), ({"kind": "reset", "at": 10}, ".")):
            with self.subTest(fault=fault):
                self.sim.faults(route="/v2/self", count=1, **fault)
                code, found = self.doctor()
                self.finds("attio", "failed", "^GET /v2/self: .*" + words, code, found, 4)
                self.finds("token", "skipped", "needs an answer", code, found, 4)
        self.sim.faults(route="/v2/self", count=1, kind="broken_json")
        code, found = self.doctor()
        self.finds("token", "failed", "no word about the API key", code, found, 4)

    def test_an_attio_that_is_silent_is_given_up(self):
        config = pathlib.Path(self.folder.name) / "quick.json"
        config.write_text('{"attio": {"connectMs": 200, "timeoutMs": 300}}', encoding="ascii")
        self.sim.faults(route="/v2/self", count=1, kind="silence")
        self.addCleanup(lambda: self.sim.faults(clear=True))
        code, found = self.doctor("--config", str(config))
        self.finds("attio", "failed", "timed out", code, found, 4)
        self.assertGreaterEqual(found["attio"]["ms"], 250)

    # --- what Attio says ---

    def test_tokens(self):
        code, found = self.doctor(ATTIO_API_KEY="another-key-0123456789")
        self.finds("token", "failed", "not active", code, found, 5)
        self.assertNotIn("scope note", found)
        code, found = self.doctor(ATTIO_EXPECTED_WORKSPACE_ID="14beef7a-99f7-4534-a87e-70b564330a4c")
        self.finds("token", "failed", "another workspace than ATTIO_EXPECTED_WORKSPACE_ID", code, found, 5)
        code, found = self.doctor(ATTIO_EXPECTED_WORKSPACE_ID=self.sim.workspace_id())
        self.assertEqual(code, 0, found)
        for status, code_, words in ((400, "missing_value", "does not take ATTIO_API_KEY"), (401, "unauthorized", "refuses"),
                                     (404, "not_found", "status 404, and no word")):
            code, found = self.doctor(**self.front(lambda s, h, b, status=status, code_=code_: (status, h, {"code": code_})))
            self.finds("token", "failed", words, code, found, 4 if status == 404 else 5)

    def scoped(self, *taken):
        def edit(status, headers, body):
            if "scope" in body:
                body["scope"] = " ".join(s for s in body["scope"].split() if s.split(":")[0] not in taken)
            return status, headers, body
        return self.front(edit)

    def test_each_scope_and_what_is_missing_without_it(self):
        for scope, words, expect in (("object_configuration", "objects and their attributes", 5), ("record_permission", "records", 5),
                                     ("list_configuration", "lists", 7), ("list_entry", "entries", 7), ("note", "notes", 7),
                                     ("task", "tasks", 7), ("comment", "comments", 7), ("user_management", "members", 7)):
            with self.subTest(scope=scope):
                code, found = self.doctor(**self.scoped(scope))
                finding = "failed" if expect == 5 else "warning"
                self.finds("scope " + scope, finding, f"lacks {scope}:read. Without it: no .*{words}", code, found, expect)
                self.assertEqual([n for n, c in found.items() if c["finding"] in ("failed", "warning")], ["scope " + scope])
        code, found = self.doctor(**self.scoped("webhook"), ATTIOD_PUBLIC_URL="https://hooks.example.com")
        self.finds("scope webhook", "warning", "lacks webhook:read-write", code, found, 7)
        self.finds("webhook", "skipped", "needs that scope", code, found, 7)

    def test_a_clock_that_is_wrong(self):
        for off, finding, words in ((3600, "warning", r"^3[56]\d\d s behind"), (-3600, "warning", r"^3[56]\d\d s ahead"), (5, "ok", "behind")):
            code, found = self.doctor(**self.front(
                lambda s, h, b, off=off: (s, {**h, "Date": formatdate(time.time() + off, usegmt=True)}, b)))
            self.finds("clock", finding, words, code, found, 7 if finding == "warning" else 0)
        code, found = self.doctor(**self.front(lambda s, h, b: (s, {"Content-Type": "application/json"}, b)))
        self.finds("clock", "skipped", "no date", code, found, 0)

    def test_our_webhook(self):
        public = {"ATTIOD_PUBLIC_URL": "http://127.0.0.1:1"}
        code, found = self.doctor(**public)
        self.finds("webhook", "warning", "^none under ATTIOD_PUBLIC_URL; serve makes it$", code, found, 7)
        server = Attiod(self.sim, self.folder.name, public)
        self.addCleanup(server.kill)
        server.until_idle()
        self.assertEqual(server.stop(), 0)
        code, found = self.doctor(**public)
        self.finds("webhook", "ok", "^active$", code, found, 0)
        code, out, err = run("webhooks", "list", environment=self.settings(**public))
        self.assertEqual(code, 0, err)
        webhook = next(w["id"] for w in json.loads(out)["data"] if w["ours"])
        for status, words in (("degraded", "gave up deliveries"), ("inactive", "gets nothing")):
            self.sim.control("POST", "/webhooks/" + webhook, {"status": status})
            code, found = self.doctor(**public)
            self.finds("webhook", "warning", f"^{status}: .*{words}", code, found, 7)
        self.sim.faults(route="/v2/webhooks", status=503, count=1)
        code, found = self.doctor(**public)
        self.finds("webhook", "failed", "^GET /v2/webhooks: status 503", code, found, 4)
        self.sim.control("DELETE", "/webhooks/" + webhook)


class Tls(Case):
    @classmethod
    def setUpClass(cls):
        cls.certs = pathlib.Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.certs)
        subprocess.run([SOURCE / "tests/support/certs.sh", cls.certs], check=True)
        super().setUpClass()

    def over(self, cert="good"):
        sim = Sim(people=1, companies=1, deals=1, tls=True,
                  extra=["--tls-cert", str(self.certs / f"{cert}.pem"), "--tls-key", str(self.certs / f"{cert}.key")])
        self.addCleanup(sim.kill)
        return {"ATTIO_BASE_URL": sim.url, "SSL_CERT_FILE": str(self.certs / "ca.pem")}

    def test_a_good_certificate(self):
        code, found = self.doctor(**self.over())
        self.finds("tls", "ok", "certificate is good", code, found, 0)
        self.finds("token", "ok", "^workspace ", code, found, 0)

    def test_certificates_that_are_not(self):
        for cert, words in (("expired", "expired on"), ("wrong-host", "not for 127.0.0.1"), ("self-signed", "self-signed"),
                            ("unknown", "not signed by a known authority")):
            with self.subTest(cert=cert):
                code, found = self.doctor(**self.over(cert))
                self.finds("tls", "failed", words, code, found, 4)
                self.finds("attio", "skipped", "cannot be reached", code, found, 4)
                self.assertNotIn("token", found)

    def test_what_speaks_no_tls(self):
        code, found = self.doctor(ATTIO_BASE_URL=self.sim.url.replace("http:", "https:"),
                                  SSL_CERT_FILE=str(self.certs / "ca.pem"))
        self.finds("tls", "failed", ".", code, found, 4)


if __name__ == "__main__":
    unittest.main()
