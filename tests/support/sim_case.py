"""What tests of attio-sim share: a workspace of their own, calls with the right token, a webhook target."""

import http.client
import http.server
import json
import threading
import time
import unittest

from support.attiod import API_KEY, Sim, request

AUTH = {"Authorization": "Bearer " + API_KEY}


class Receiver:
    """A webhook target that keeps what it gets and answers what it is told."""

    def __init__(self):
        self.got = []
        self.statuses = []  # of the next answers; then 200
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((time.monotonic(), dict(self.headers), body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def events(self):
        return [json.loads(body)["events"][0] for _, _, body in self.got]


class SimTest(unittest.TestCase):
    people, companies, deals, seed, extra = 60, 12, 8, 1, ("--limits", "off")

    def setUp(self):
        self.sim = Sim(self.people, self.companies, self.deals, self.seed, self.extra)
        self.addCleanup(lambda: self.assertEqual(self.sim.stop(), 0, "an orderly end, nothing left open"))

    def call(self, method, path, body=None, headers=None):
        return request(self.sim.port, method, path, body, AUTH if headers is None else headers)

    def ok(self, method, path, body=None):
        status, answer = self.call(method, path, body)
        self.assertEqual(status, 200, answer)
        return answer

    def data(self, method, path, body=None):
        return self.ok(method, path, body)["data"]

    def fails(self, status, code, message, method, path, body=None, kind="invalid_request_error"):
        got, answer = self.call(method, path, body)
        self.assertEqual((got, answer["status_code"], answer["type"], answer["code"]), (status, status, kind, code), answer)
        self.assertRegex(answer["message"], message)
        return answer

    def raw(self, method, path, body=None, headers=AUTH):
        c = http.client.HTTPConnection("127.0.0.1", self.sim.port, timeout=10)
        self.addCleanup(c.close)
        c.request(method, path, None if body is None else json.dumps(body), headers)
        return c.getresponse()

    def query(self, slug="people", **body):
        return self.data("POST", f"/v2/objects/{slug}/records/query", body)

    def ids(self, records):
        return [r["id"]["record_id"] for r in records]

    def create(self, slug="people", **values):
        return self.data("POST", f"/v2/objects/{slug}/records", {"data": {"values": values}})

    def write(self, method, record, slug="people", **values):
        return self.data(method, f"/v2/objects/{slug}/records/{record['id']['record_id']}", {"data": {"values": values}})

    def emails(self, record):
        return [v["email_address"] for v in record["values"]["email_addresses"]]
