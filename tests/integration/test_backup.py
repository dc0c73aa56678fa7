# takes: 30
"""Backup under load, the database put back in a new place, and commands where no server runs."""

import json
import os
import pathlib
import signal
import sqlite3
import stat
import subprocess
import tempfile
import threading
import unittest

from support.attiod import (API_KEY, BUILD, Attiod, Sim, connect, differences, envelope, event, free_port, mirror,
                            request, until)
from test_app import run


def integrity(path):
    with connect(path) as db:
        return db.execute("PRAGMA integrity_check").fetchall()


class Backup(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.place = pathlib.Path(self.folder.name)
        self.sim = Sim(people=300, companies=50, deals=20)
        self.addCleanup(self.sim.kill)

    def serve(self, folder, **environment):
        (self.place / folder).mkdir(exist_ok=True)
        server = Attiod(self.sim, self.place / folder, environment)
        self.addCleanup(lambda: server.child.poll() is None and server.kill())
        return server

    def test_a_backup_under_load_put_elsewhere_becomes_the_workspace_again(self):
        a = self.serve("one")
        a.until_idle()
        object_id, records = self.sim.state("people")
        some = list(records)[:50]
        workspace = self.sim.workspace_id()
        stop = threading.Event()
        answers = []

        def load():
            n = 0
            while not stop.is_set():
                delivery = envelope(event("record.updated", workspace, object_id, some[n % 50]))
                answers.append((f"load-{n}", a.deliver(delivery, key=f"load-{n}")[0]))
                n += 1

        thread = threading.Thread(target=load)
        thread.start()
        try:
            until(lambda: len(answers) > 20, "load")
            before = len(answers)
            target = self.place / "copy.db"
            code, out, err = run("backup", str(target), "--url", f"http://127.0.0.1:{a.internal}")
            self.assertEqual(code, 0, err)
            until(lambda: len(answers) > before + 20, "load after the backup")
        finally:
            stop.set()
            thread.join()
        self.assertEqual({status for _, status in answers}, {200})
        answer = json.loads(out)["data"]
        self.assertEqual((answer["state"], answer["file"]), ("done", str(target)))
        self.assertEqual(answer["bytes"], target.stat().st_size)
        self.assertEqual(stat.S_IMODE(target.stat().st_mode), 0o600)
        self.assertEqual(integrity(target), [("ok",)])
        # What was acknowledged before the backup began is in it.
        with connect(target) as db:
            kept = {key for (key,) in db.execute("SELECT dedupe FROM attiod_inbox")}
        self.assertLessEqual({key for key, _ in answers[:before]}, kept)
        # A second one of that name is refused, and the first stays as it was.
        code, _, err = run("backup", str(target), "--url", f"http://127.0.0.1:{a.internal}")
        self.assertEqual(code, 1)
        self.assertIn("there already", err)
        a.until_idle()
        # Time passes; then the database is lost, and the copy takes its place.
        self.sim.control("POST", "/edit", {"count": 200})
        self.assertEqual(a.stop(), 0)
        (self.place / "two").mkdir()
        os.rename(target, self.place / "two" / "attiod.db")
        b = self.serve("two")
        b.until_idle()
        code, _, err = run("sync", "--all", "--url", f"http://127.0.0.1:{b.internal}")
        self.assertEqual(code, 0, err)
        b.until_idle()
        wrong = [d for d in differences(self.sim, b.db) if not d.endswith("not deleted")]
        self.assertEqual(wrong, [])
        self.assertEqual(b.stop(), 0)
        self.assertEqual(integrity(b.db), [("ok",)])

    def test_what_cannot_be_is_said(self):
        a = self.serve("one", ATTIO_ENABLED="false")
        url = ["--url", f"http://127.0.0.1:{a.internal}"]
        code, _, err = run("backup", "/nowhere/at/all/copy.db", *url)
        self.assertEqual(code, 2, err)
        self.assertIn("No such file", err)
        for body in ({}, {"file": 3}, {"file": "relative.db"}, {"file": ""}, {"fle": "/x"}):
            with self.subTest(body=body):
                status, answer = request(a.internal, "POST", "/api/v1/backup", body)
                self.assertEqual(status, 400, answer)
                self.assertIn(answer["code"], ("invalid", "parse"))
        status, answer = request(a.internal, "GET", "/api/v1/backup")
        self.assertEqual((status, answer["data"]["state"]), (200, "failed"))
        # A relative name is the typist's folder, not the server's.
        code, out, err = run("backup", "here.db", *url, directory=self.folder.name)
        self.assertEqual(code, 0, err)
        self.assertTrue((self.place / "here.db").exists())
        self.assertEqual(a.stop(), 0)

    def test_the_end_of_the_server_ends_a_backup_and_leaves_no_half_one(self):
        a = self.serve("one", ATTIO_ENABLED="false")
        a.stop()
        with sqlite3.connect(a.db) as db:  # so large that it is not through at once
            db.execute("CREATE TABLE ballast (b BLOB)")
            db.executemany("INSERT INTO ballast VALUES (zeroblob(1048576))", [()] * 150)
        db.close()
        b = self.serve("one", ATTIO_ENABLED="false")
        status, answer = request(b.internal, "POST", "/api/v1/backup", {"file": str(self.place / "copy.db")})
        self.assertEqual((status, answer["data"]["state"]), (202, "running"))
        status, answer = request(b.internal, "POST", "/api/v1/backup", {"file": str(self.place / "other.db")})
        self.assertEqual((status, answer["code"]), (503, "busy"))
        until(lambda: (self.place / "copy.db.part").exists(), "a backup under way")
        self.assertEqual(b.stop(), 0)
        left = {p.name for p in self.place.iterdir()}
        self.assertEqual(left, {"one"})
        # Killed, it leaves the .part file, which is never taken for a backup.
        c = self.serve("one", ATTIO_ENABLED="false")
        request(c.internal, "POST", "/api/v1/backup", {"file": str(self.place / "copy.db")})
        until(lambda: (self.place / "copy.db.part").exists(), "a backup under way")
        c.child.send_signal(signal.SIGKILL)
        c.child.wait()
        self.assertFalse((self.place / "copy.db").exists())


class Offline(unittest.TestCase):
    """No server: the command does it on the database, alone."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.sim = Sim(people=60, companies=20, deals=10)
        self.addCleanup(self.sim.kill)
        self.db = pathlib.Path(self.folder.name) / "attiod.db"

    def environment(self, **more):
        return {"ATTIO_BASE_URL": self.sim.url, "DATABASE_URL": f"sqlite:{self.db}",
                "ATTIOD_INTERNAL_LISTEN": f"127.0.0.1:{free_port()}", **more}

    def command(self, *arguments, **more):
        return run(*arguments, environment=self.environment(**more))

    def test_sync_and_webhooks_call_attio_themselves(self):
        code, out, err = self.command("sync", "--all", ATTIO_API_KEY=API_KEY)
        self.assertEqual(code, 0, err)
        self.assertEqual(differences(self.sim, self.db), [])
        code, out, err = self.command("sync", "people", "--output", "text", ATTIO_API_KEY=API_KEY)
        self.assertEqual(code, 0, err)
        self.assertIn("60 unchanged", out)
        public = {"ATTIO_API_KEY": API_KEY, "ATTIOD_PUBLIC_URL": "http://127.0.0.1:1"}
        code, out, err = self.command("webhooks", "ensure", **public)
        self.assertEqual(code, 0, err)
        made = json.loads(out)["data"]
        self.assertTrue(made["created"])
        code, out, err = self.command("webhooks", "list", **public)
        self.assertEqual([(w["id"], w["secret_known"]) for w in json.loads(out)["data"]], [(made["id"], True)], err)
        # Nothing begins by itself: no webhook was made by the syncs, and none is by a list.
        code, out, err = self.command("webhooks", "delete", made["id"], **public)
        self.assertEqual(code, 0, err)
        self.assertEqual(json.loads(self.command("webhooks", "list", **public)[1])["data"], [])
        self.assertEqual(integrity(self.db), [("ok",)])

    def test_what_only_needs_the_database_needs_neither_key_nor_attio(self):
        a = Attiod(self.sim, self.folder.name, {"ATTIO_ENABLED": "false"})
        self.addCleanup(lambda: a.child.poll() is None and a.kill())
        for key in ("a", "b"):
            self.assertEqual(a.deliver(envelope(event("record.updated", "14beef7a-99f7-4534-a87e-70b564330a4c",
                                                      "97052eb9-e65e-443f-a297-f2d9a4a7f795",
                                                      "bf071e1f-6035-429d-b874-d83ea64ea13b")), key=key)[0], 200)
        # The server has it: its lock holds, and the command says what to do.
        code, _, err = self.command("events", "list")
        self.assertEqual(code, 6)
        self.assertIn("a server has this database open", err)
        self.assertEqual(a.stop(), 0)
        before = self.sim.requests()["total"]
        code, out, err = self.command("events", "list")
        self.assertEqual(code, 0, err)
        events = json.loads(out)["data"]
        self.assertEqual([e["state"] for e in events], ["pending", "pending"])
        code, out, err = self.command("events", "discard", str(events[0]["id"]))
        self.assertEqual(json.loads(out)["data"]["events"], 1, err)
        code, out, err = self.command("events", "show", str(events[0]["id"]))
        self.assertEqual(json.loads(out)["data"]["state"], "discarded", err)
        code, out, err = self.command("backup", str(self.db) + ".copy", "--output", "text")
        self.assertEqual(code, 0, err)
        self.assertEqual(integrity(str(self.db) + ".copy"), [("ok",)])
        code, _, err = self.command("events", "show", "999")
        self.assertEqual(code, 1, err)
        self.assertEqual(self.sim.requests()["total"], before)

    def test_what_is_missing_is_said_with_its_exit_code(self):
        code, _, err = self.command("sync", "--all")
        self.assertEqual(code, 3)
        self.assertIn("ATTIO_API_KEY", err)
        code, _, err = self.command("sync", "--all", ATTIO_API_KEY="not-the-key-of-that-workspace")
        self.assertEqual(code, 5, err)
        code, _, err = self.command("sync", "--all", ATTIO_API_KEY=API_KEY, ATTIO_BASE_URL="http://127.0.0.1:9",
                                    ATTIO_ENV="development")
        self.assertEqual(code, 4, err)
        code, _, err = self.command("events", "list", DATABASE_URL="sqlite:/proc/nowhere/x.db")
        self.assertEqual(code, 6, err)
        self.assertNotIn("not-the-key", err)

    def test_a_server_does_not_start_meanwhile(self):
        self.sim.faults(latency_ms=200)
        child = subprocess.Popen([str(BUILD / "attiod"), "sync", "--all"], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                                 env={**os.environ, **self.environment(ATTIO_API_KEY=API_KEY)})
        until(self.db.exists, "the database")
        until(lambda: pathlib.Path(str(self.db) + "-wal").exists(), "its log")
        code, _, err = run("serve", environment={**self.environment(ATTIO_API_KEY=API_KEY), "ATTIOD_LISTEN":
                                                 "127.0.0.1:0", "ATTIO_WEBHOOK_SECRET": "a-secret-of-some-length"})
        self.assertEqual(code, 6)
        self.assertIn("another attiod has this database open", err)
        _, err = child.communicate(timeout=60)
        self.assertEqual(child.returncode, 0, err)
        self.assertEqual(len(mirror(self.db, "people")), 60)


if __name__ == "__main__":
    unittest.main()
