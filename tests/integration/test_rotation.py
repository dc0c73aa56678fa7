"""The API key and the webhook secret are changed under load: no call is refused, no genuine delivery either."""

import json
import os
import pathlib
import signal
import tempfile
import threading
import unittest
import uuid

from support.attiod import API_KEY, SECRET, Attiod, Sim, differences, envelope, event, request, signed, until

NEW_KEY = "sim-key-rotated-0123456789"
NEW_SECRET = "rotated-secret-" + "a7" * 20


class Load:
    """Deliveries about one record after the other, signed with the secret of the moment, until stopped."""

    def __init__(self, server, workspace, object_id, records):
        self.server, self.workspace, self.object_id, self.records = server, workspace, object_id, records
        self.secret = SECRET
        self.answers = {}
        self.sent = 0
        self.done = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(4)]
        for t in self.threads:
            t.start()

    def run(self, number):
        at = number
        while not self.done.is_set():
            body = envelope(event("record.updated", self.workspace, self.object_id, self.records[at % len(self.records)]))
            raw = json.dumps(body).encode()
            status = request(self.server.port, "POST", "/webhooks/attio", raw,
                             {**signed(raw, self.secret), "Idempotency-Key": str(uuid.uuid4())})[0]
            self.answers[status] = self.answers.get(status, 0) + 1  # one bytecode late is one count less: no matter
            self.sent += 1
            at += 4

    def more(self, n):
        until(lambda at=self.sent: self.sent >= at + n, f"{n} more deliveries")

    def stop(self):
        self.done.set()
        for t in self.threads:
            t.join()


class Rotation(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)
        self.write("key", API_KEY)
        self.write("secret", SECRET)
        self.sim = Sim(people=60, companies=5, deals=3)
        self.server = Attiod(self.sim, self.folder.name, {
            "ATTIO_API_KEY": None, "ATTIO_API_KEY_FILE": str(self.path / "key"),
            "ATTIO_WEBHOOK_SECRET": None, "ATTIO_WEBHOOK_SECRET_FILE": str(self.path / "secret")})
        self.server.until_idle()
        object_id, people = self.sim.state("people")
        self.load = Load(self.server, self.sim.workspace_id(), object_id, sorted(people))

    def tearDown(self):
        self.load.stop()
        if self.server.child.poll() is None:
            self.server.kill()
        self.sim.stop()
        self.folder.cleanup()

    def write(self, name, text):
        """As a secret mount does it: the new file takes the place of the old one at once."""
        fresh = self.path / (name + ".new")
        fresh.write_text(text + "\n", encoding="ascii")
        os.replace(fresh, self.path / name)

    def reloads(self):
        return [line for line in self.server.lines() if line["event"] == "reloaded"]

    def reload(self):
        before = len(self.reloads())
        self.server.child.send_signal(signal.SIGHUP)
        return until(lambda: self.reloads()[before:], "reloaded")[0]

    def keys(self):
        return self.sim.control("GET", "/keys")

    def finish(self):
        self.load.stop()
        self.server.until_idle()
        self.assertEqual(differences(self.sim, self.server.db), [])
        self.assertEqual(self.server.stop(), 0)
        log = self.server.log_path.read_bytes()
        for secret in (API_KEY, NEW_KEY, SECRET, NEW_SECRET):
            self.assertNotIn(secret.encode(), log)

    def test_the_api_key(self):
        self.load.more(100)
        self.sim.control("POST", "/keys", {"keys": [API_KEY, NEW_KEY]})  # made at Attio, the old one still good
        self.load.more(50)
        self.assertEqual(self.keys()["used"][1], 0)
        self.write("key", NEW_KEY)
        self.assertEqual(self.reload()["changed"], "ATTIO_API_KEY")
        until(lambda: self.keys()["used"][1] > 5, "calls with the new key")
        old = self.keys()["used"][0]
        self.load.more(100)
        until(lambda: self.keys()["used"][1] > 15, "more calls with the new key")
        self.assertEqual(self.keys()["used"][0], old)  # nobody uses it any more
        self.sim.control("POST", "/keys", {"keys": [NEW_KEY]})  # deleted at Attio
        self.load.more(100)
        until(lambda: self.keys()["used"][0] > 5, "calls after that")
        self.load.stop()
        self.server.until_idle()
        self.assertEqual(self.keys()["refused"], 0)
        self.assertEqual(set(self.load.answers), {200})
        self.finish()

    def test_the_webhook_secret(self):
        self.load.more(100)
        self.write("secret", f"{NEW_SECRET},{SECRET}")
        self.assertEqual(self.reload()["changed"], "ATTIO_WEBHOOK_SECRET")
        self.load.more(100)
        self.load.secret = NEW_SECRET  # Attio signs with it from here on
        self.load.more(100)
        self.write("secret", NEW_SECRET)
        self.assertEqual(self.reload()["changed"], "ATTIO_WEBHOOK_SECRET")
        self.load.more(100)
        self.load.stop()
        self.assertEqual(set(self.load.answers), {200})
        raw = json.dumps(envelope()).encode()
        self.assertEqual(request(self.server.port, "POST", "/webhooks/attio", raw, signed(raw, SECRET))[0], 401)
        self.assertEqual(request(self.server.port, "POST", "/webhooks/attio", raw, signed(raw, NEW_SECRET))[0], 200)
        self.finish()

    def test_a_key_that_attio_does_not_know_stops_calls_and_the_right_one_starts_them(self):
        self.load.more(20)
        self.write("key", "no-such-key-0123456789")
        self.reload()
        until(lambda: self.latched() == 1, "refused")
        refused = self.keys()["refused"]
        self.load.more(50)
        self.assertLess(self.keys()["refused"], refused + 5)
        self.write("key", API_KEY)
        self.reload()
        until(lambda: self.latched() == 0, "good again")
        self.assertEqual(set(self.load.answers), {200})
        self.finish()

    def latched(self):
        text = request(self.server.internal, "GET", "/metrics")[1].decode()
        return int(next(line for line in text.splitlines() if line.startswith("attiod_attio_latched ")).split()[1])
