# timeout: 600
"""TLS as the world meets it: curl and openssl at our listeners, attiod at nginx and at openssl, certificates renewed."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
import uuid

from support.attiod import API_KEY, BUILD, SECRET, Attiod, Process, Sim, differences, envelope, event, free_port, request, signed, until

SOURCE = pathlib.Path(os.environ.get("ATTIOD_SOURCE_DIR", "."))
SERVE = {"ATTIO_API_KEY": API_KEY, "ATTIO_WEBHOOK_SECRET": SECRET, "ATTIO_BASE_URL": "http://127.0.0.1:9",
         "ATTIOD_LISTEN": "127.0.0.1:0", "ATTIOD_INTERNAL_LISTEN": "127.0.0.1:0"}
NGINX = """daemon off; worker_processes 1; pid nginx.pid; error_log stderr;
events {{ }}
http {{
    access_log off;
    client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
    {more}
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {cert}.pem; ssl_certificate_key {cert}.key; ssl_session_tickets {tickets};
        ssl_session_cache shared:all:1m; ssl_protocols {protocols};
        add_header X-Reused $ssl_session_reused always;
        location / {{ proxy_pass http://127.0.0.1:{behind}; proxy_set_header Authorization $http_authorization; }}
    }}
}}
"""


class Plain(Process):
    """nginx or openssl: somebody else's program, in the place of one of ours."""

    def __init__(self, name, command, directory):
        Process.count += 1
        self.log_path = pathlib.Path(directory) / f"{name}-{Process.count}.log"
        self.log = open(self.log_path, "wb")
        self.child = subprocess.Popen(command, cwd=directory, stdin=subprocess.DEVNULL, stdout=self.log,
                                      stderr=subprocess.STDOUT)


class Cutter:
    """Passes connections on to a port; the first ones it cuts in the middle of the server's first flight."""

    def __init__(self, behind, cuts):
        self.behind, self.cuts = behind, cuts
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.behind))
            cut = self.cuts > 0
            self.cuts -= 1
            threading.Thread(target=self.pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, cut), daemon=True).start()

    @staticmethod
    def pump(source, target, cut):
        try:
            while data := source.recv(65536):
                target.sendall(data[:100] if cut else data)
                if cut:
                    break
            target.shutdown(socket.SHUT_RDWR if cut else socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.certs = pathlib.Path(cls.folder.name)
        subprocess.run([SOURCE / "tests/support/certs.sh", cls.certs], check=True)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)

    def file(self, name):
        return str(self.certs / name)

    def trusting(self, minimum=None, maximum=None):
        context = ssl.create_default_context(cafile=self.file("ca.pem"))
        if minimum:
            context.minimum_version = minimum
        if maximum:
            context.maximum_version = maximum
        return context

    def until_open(self, port):
        def attempt():
            try:
                socket.create_connection(("127.0.0.1", port), 5).close()
                return True
            except OSError:
                return False
        until(attempt, f"port {port} open")

    # --- our listeners ---

    def serve(self, environment=None, cert="good", **more):
        server = Attiod(None, self.directory.name,
                        {"ATTIO_ENABLED": "false", "ATTIOD_TLS_CERT": self.file(f"{cert}.pem"),
                         "ATTIOD_TLS_KEY": self.file(f"{cert}.key"), **(environment or {})}, **more)
        self.addCleanup(server.stop)
        return server

    def curl(self, port, path, *arguments):
        done = subprocess.run(["curl", "-sS", "--cacert", self.file("ca.pem"), *arguments,
                               f"https://127.0.0.1:{port}{path}"], capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr

    def s_client(self, port, *arguments, text=""):
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", self.file("ca.pem"),
                               "-servername", "api.example.com", *arguments], input=text, capture_output=True,
                              text=True, timeout=60, check=False)
        return done.stdout + done.stderr

    def metric(self, server, series):
        code, out, err = self.curl(server.internal, "/metrics")
        self.assertEqual(code, 0, err)
        found = re.search(re.escape(series) + r" (\d+)", out)
        return int(found.group(1)) if found else None

    def handshakes(self, server, outcome):
        return self.metric(server, f'attiod_tls_handshakes_total{{side="server",outcome="{outcome}"}}')

    def test_curl_reaches_both_listeners(self):
        server = self.serve()
        for port in (server.port, server.internal):
            code, out, err = self.curl(port, "/healthz" if port == server.port else "/health")
            self.assertEqual(code, 0, out + err)
        code, _, err = self.curl(server.port, "/healthz", "--cacert", self.file("other-ca.pem"))
        self.assertEqual(code, 60, err)
        # Two requests on one connection, and a body larger than a record both ways.
        about = event("record.updated", str(uuid.uuid4()), str(uuid.uuid4()), str(uuid.uuid4()), filler="y" * 200000)
        body = json.dumps(envelope(about)).encode()
        path = pathlib.Path(self.directory.name) / "body.json"
        path.write_bytes(body)
        headers = [part for k, v in signed(body).items() for part in ("-H", f"{k}: {v}")]
        code, out, err = self.curl(server.port, "/webhooks/attio", "--data-binary", f"@{path}", *headers)
        self.assertEqual((code, json.loads(out)["accepted"]), (0, 1), out + err)

    def test_openssl_sees_the_version_the_protocol_and_a_resumed_session(self):
        server = self.serve()
        said = self.s_client(server.port, "-alpn", "http/1.1", "-tls1_2", text="")
        self.assertIn("Verify return code: 0 (ok)", said)
        self.assertIn("ALPN protocol: http/1.1", said)
        self.assertIn("Secure Renegotiation IS supported", said)
        session = pathlib.Path(self.directory.name) / "session.pem"
        self.assertIn("New, TLSv1.2", self.s_client(server.port, "-tls1_2", "-sess_out", str(session)))
        self.assertIn("Reused, TLSv1.2", self.s_client(server.port, "-tls1_2", "-sess_in", str(session)))
        self.assertGreaterEqual(self.handshakes(server, "resumed"), 1)
        said = self.s_client(server.port, "-tls1_2", "-reconnect")
        self.assertGreaterEqual(said.count("Reused, TLSv1.2"), 5, said)

    def test_what_is_too_old_or_too_weak_is_refused(self):
        server = self.serve()
        for weak in (["-tls1"], ["-tls1_1"], ["-tls1_2", "-cipher", "AES128-SHA:AES128-GCM-SHA256:@SECLEVEL=0"]):
            more = [] if "-cipher" in weak else ["-cipher", "ALL:@SECLEVEL=0"]
            with self.subTest(weak=weak):
                self.assertIn("Cipher is (NONE)", self.s_client(server.port, *weak, *more))
        self.assertNotIn("Cipher is (NONE)", self.s_client(server.port, "-tls1_2"))

    def test_a_client_that_asks_to_renegotiate_gets_no_new_handshake(self):
        server = self.serve()
        with subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_2", "-CAfile",
                               self.file("ca.pem"), "-servername", "api.example.com"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as client:
            out, _ = client.communicate("R\n", timeout=60)
        self.assertRegex(out, "no renegotiation|RENEGOTIATING[^$]*error")

    def test_plain_http_on_the_port_gets_a_400(self):
        server = self.serve()
        status, answer = request(server.port, "GET", "/healthz")
        self.assertEqual((status, answer), (400, b"This port speaks TLS: use https.\n"))
        self.assertEqual(self.handshakes(server, "plain"), 1)

    def test_clients_that_stall_in_the_hello_are_cut_and_nobody_waits_for_them(self):
        config = pathlib.Path(self.directory.name) / "fast.json"
        config.write_text('{"server": {"headerMs": 500}}')
        server = self.serve(arguments=["--config", str(config)])
        stalled = []
        for i in range(100):
            s = socket.create_connection(("127.0.0.1", server.port), 10)
            s.sendall((b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")[i % 3])
            stalled.append(s)
        start = time.monotonic()
        self.assertEqual(self.curl(server.port, "/healthz")[0], 0)
        for s in stalled:
            s.settimeout(20)
            try:
                self.assertEqual(s.recv(100), b"")
            except ConnectionResetError:
                pass
            s.close()
        self.assertLess(time.monotonic() - start, 20)
        self.assertEqual(self.handshakes(server, "timeout"), 100)

    def test_sighup_takes_over_a_renewed_certificate(self):
        live = pathlib.Path(self.directory.name)
        for part in ("pem", "key"):
            shutil.copy(self.file(f"good.{part}"), live / f"live.{part}")
        server = self.serve({"ATTIOD_TLS_CERT": str(live / "live.pem"), "ATTIOD_TLS_KEY": str(live / "live.key")})
        self.assertIn("Test good", self.s_client(server.port))

        shutil.copy(self.file("rsa.pem"), live / "live.pem")  # the key is still the old one's
        server.child.send_signal(signal.SIGHUP)
        until(lambda: any("is not the key of" in str(line) for line in server.lines()), "a refused reload")
        self.assertIn("Test good", self.s_client(server.port))

        shutil.copy(self.file("rsa.key"), live / "live.key")
        server.child.send_signal(signal.SIGHUP)
        until(lambda: "Test rsa" in self.s_client(server.port), "the new certificate")

    def test_commands_reach_the_server_by_its_certificate(self):
        server = self.serve(cert="wrong-host")
        settings = {**SERVE, "ATTIOD_INTERNAL_LISTEN": f"127.0.0.1:{server.internal}",
                    "ATTIOD_TLS_CERT": self.file("wrong-host.pem"), "ATTIOD_TLS_KEY": self.file("wrong-host.key")}
        code, out, err = self.command("events", "list", environment=settings)
        self.assertEqual(code, 0, out + err)
        url = {"ATTIOD_URL": f"https://127.0.0.1:{server.internal}", "SSL_CERT_FILE": self.file("ca.pem")}
        code, _, err = self.command("events", "list", environment=url)
        self.assertIn("certificate is for other.example, not for 127.0.0.1", err)
        self.assertNotEqual(code, 0)

    def command(self, *arguments, environment):
        base = {k: v for k, v in os.environ.items() if not k.startswith(("ATTIO", "DATABASE_URL", "PORT", "SSL_"))}
        done = subprocess.run([BUILD / "attiod", *arguments], env={**base, **environment}, cwd=self.directory.name,
                              capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False)
        return done.returncode, done.stdout, done.stderr

    def test_check_names_what_is_wrong_with_certificate_and_key(self):
        def check(cert, key):
            code, out, err = self.command("check", "--output", "text", environment={
                **SERVE, "ATTIOD_TLS_CERT": self.file(cert), "ATTIOD_TLS_KEY": self.file(key)})
            return code, out + err
        os.chmod(self.file("good.key"), 0o600)
        self.assertEqual(check("good.pem", "good.key")[0], 0)
        for cert, key, part in (("good.pem", "rsa.key", "is not the key of the certificate"),
                                ("good.pem", "locked.key", "encrypted"), ("garbage.pem", "good.key", "no certificate"),
                                ("missing.pem", "good.key", "No such file")):
            code, said = check(cert, key)
            self.assertEqual(code, 3, said)
            self.assertIn(part, said)
        os.chmod(self.file("expired.key"), 0o644)
        code, said = check("expired.pem", "expired.key")
        self.assertEqual(code, 0, said)
        self.assertIn("expired on 2021-02-03T04:05:06Z", said)
        self.assertIn("is open to every user", said)

    # --- towards Attio ---

    def front(self, behind, cert="good", tickets="on", protocols="TLSv1.2 TLSv1.3", more=""):
        """nginx with TLS before a port of this machine; its own."""
        port = free_port()
        directory = tempfile.mkdtemp(dir=self.directory.name)
        conf = pathlib.Path(directory) / "nginx.conf"
        conf.write_text(NGINX.format(port=port, cert=self.file(cert), tickets=tickets, protocols=protocols, behind=behind,
                                     more=more))
        nginx = Plain("nginx", ["nginx", "-p", directory + "/", "-c", str(conf)], directory)
        self.addCleanup(nginx.stop)
        self.until_open(port)
        return port

    def attiod(self, url, environment=None):
        server = Attiod(None, self.directory.name, {"ATTIO_BASE_URL": url, "SSL_CERT_FILE": self.file("ca.pem"),
                                                    **(environment or {})})
        self.addCleanup(server.stop)
        return server

    def plain_metric(self, server, outcome):
        _, answer = request(server.internal, "GET", "/metrics")
        text = answer.decode() if isinstance(answer, bytes) else str(answer)
        return int(re.search(r'attiod_tls_handshakes_total\{side="client",outcome="%s"\} (\d+)' % outcome, text).group(1))

    def test_a_whole_workspace_comes_through_nginx(self):
        sim = Sim(people=700, companies=20, deals=10)
        self.addCleanup(sim.stop)
        server = self.attiod(f"https://localhost:{self.front(sim.port)}")
        server.until_idle(60)
        self.assertEqual(differences(sim, server.db), [])
        self.assertGreaterEqual(self.plain_metric(server, "full"), 1)

    def test_attio_sim_speaks_tls_and_delivers_to_tls(self):
        sim = Sim(people=30, companies=5, deals=5, extra=[
            "--tls-cert", self.file("good.pem"), "--tls-key", self.file("good.key"), "--tls-ca", self.file("ca.pem")],
            tls=self.trusting())
        self.addCleanup(sim.stop)
        port = free_port()
        server = Attiod(None, self.directory.name,
                        {"ATTIO_BASE_URL": f"https://127.0.0.1:{sim.port}", "SSL_CERT_FILE": self.file("ca.pem"),
                         "ATTIOD_TLS_CERT": self.file("good.pem"), "ATTIOD_TLS_KEY": self.file("good.key"),
                         "ATTIOD_PUBLIC_URL": f"https://127.0.0.1:{port}"}, public_port=port, tls=self.trusting())
        self.addCleanup(server.stop)
        server.until_idle(60)
        sim.control("POST", "/edit", {"count": 10})
        until(lambda: sim.control("GET", "/deliveries")["pending"] == 0, "deliveries over TLS")
        server.until_idle(60)
        self.assertEqual(differences(sim, server.db), [])
        with sqlite3.connect(f"file:{server.db}?mode=ro", uri=True) as db:
            self.assertGreaterEqual(db.execute("SELECT count(*) FROM attiod_inbox").fetchone()[0], 10)

    def test_connections_that_nginx_closes_are_made_again_from_a_session(self):
        sim = Sim(people=700, companies=20, deals=10)
        self.addCleanup(sim.stop)
        for tickets in ("on", "off"):
            with self.subTest(tickets=tickets), tempfile.TemporaryDirectory() as directory:
                self.directory = type("D", (), {"name": directory})
                server = self.attiod(f"https://127.0.0.1:{self.front(sim.port, tickets=tickets, more='keepalive_requests 2;')}")
                server.until_idle(60)
                self.assertGreaterEqual(self.plain_metric(server, "resumed"), 1)
                self.assertEqual(self.plain_metric(server, "failed"), 0)
                server.stop()

    def test_handshakes_that_are_cut_are_tried_again_because_nothing_was_sent(self):
        sim = Sim(people=5, companies=1, deals=1)
        self.addCleanup(sim.stop)
        front = Cutter(self.front(sim.port), cuts=2)
        self.addCleanup(front.close)
        server = self.attiod(f"https://127.0.0.1:{front.port}")
        server.until_idle(60)
        self.assertEqual(differences(sim, server.db), [])
        self.assertEqual(self.plain_metric(server, "cut"), 2)

    def test_who_is_not_attio_is_said_not_to_be(self):
        for cert, host, part in (("wrong-host", "localhost", "certificate is for other.example, not for localhost"),
                                 ("expired", "127.0.0.1", "expired on 2021-02-03"),
                                 ("future", "127.0.0.1", "is not valid before 2048-09-10"),
                                 ("self-signed", "127.0.0.1", "is self-signed"),
                                 ("unknown", "127.0.0.1", "is not signed by a known authority")):
            with self.subTest(cert=cert), tempfile.TemporaryDirectory() as directory:
                server = Attiod(None, directory, {"ATTIO_BASE_URL": f"https://{host}:{self.front(9, cert=cert)}",
                                                  "SSL_CERT_FILE": self.file("ca.pem")})
                self.addCleanup(server.stop)
                until(lambda: part in server.log_path.read_text() or part in json.dumps(server.status()), part)
                self.assertEqual(self.plain_metric(server, "full"), 0)
                server.stop()

    def test_a_server_with_old_tls_only_is_refused(self):
        port = free_port()
        server = Plain("openssl", ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", self.file("rsa.pem"),
                                   "-key", self.file("rsa.key"), "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-www"],
                       self.directory.name)
        self.addCleanup(server.stop)
        self.until_open(port)
        attiod = self.attiod(f"https://127.0.0.1:{port}")
        until(lambda: self.plain_metric(attiod, "refused") + self.plain_metric(attiod, "failed"), "a refusal")
        self.assertEqual(self.plain_metric(attiod, "full"), 0)


if __name__ == "__main__":
    unittest.main()
