"""Our own tables: brought up to date, checked, refused, and killed in the middle."""

import json
import os
import pathlib
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import unittest

from support.attiod import BUILD, SECRET, Attiod, connect, envelope, event
from test_app import run

SOURCE = pathlib.Path(__file__).resolve().parents[2]


def version_1():
    """The tables and rows of a program of version 1, as the unit test writes them down."""
    text = (SOURCE / "tests/unit/attio/test_migrate.c").read_text(encoding="ascii")
    body = re.search(r"static const char version_1\[\] =\n(.*?);\n\n", text, re.S).group(1)
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', body))


class Migrate(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.db = pathlib.Path(self.folder.name) / "attiod.db"

    def old(self):
        db = sqlite3.connect(self.db)
        db.executescript(version_1())
        db.close()

    def command(self, *arguments, **more):
        return run(*arguments, environment={"DATABASE_URL": f"sqlite:{self.db}", "ATTIO_BASE_URL": "http://127.0.0.1:9", **more})

    def version(self):
        with connect(self.db) as c:
            return c.execute("PRAGMA user_version").fetchone()[0]

    def test_a_dry_run_says_and_a_run_does(self):
        self.old()
        code, out, err = self.command("migrate", "--dry-run")
        self.assertEqual(code, 0, err)
        said = json.loads(out)["data"]
        self.assertEqual((said["from"], said["dry_run"]), (1, True))
        self.assertGreater(said["to"], 1)
        self.assertEqual(self.version(), 1)
        code, out, err = self.command("migrate", "--output", "text")
        self.assertEqual((code, out), (0, f"the tables were brought from version 1 to {said['to']}\n"), err)
        self.assertEqual(self.version(), said["to"])
        code, out, err = self.command("migrate")
        self.assertEqual((code, json.loads(out)["data"]["from"]), (0, said["to"]), err)
        with connect(self.db) as c:
            self.assertEqual(c.execute("SELECT seq, state FROM attiod_inbox").fetchall(), [(7, 1)])

    def serve(self, **more):
        return self.command("serve", "--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0", ATTIO_API_KEY="k" * 20,
                            ATTIO_WEBHOOK_SECRET=SECRET, ATTIO_ENABLED="false", **more)

    def test_serve_only_checks_where_it_is_told_to(self):
        self.old()
        code, _, err = self.serve(ATTIOD_MIGRATE="check")
        self.assertEqual(code, 6)
        self.assertIn("the database has tables of version 1, this program needs", err)
        self.assertEqual(self.version(), 1)
        a = Attiod(None, self.folder.name, {"ATTIO_ENABLED": "false"})
        self.addCleanup(lambda: a.child.poll() is None and a.kill())
        self.assertGreater(self.version(), 1)
        self.assertEqual(a.deliver(envelope(event("record.updated", "14beef7a-99f7-4534-a87e-70b564330a4c",
                                                  "97052eb9-e65e-443f-a297-f2d9a4a7f795",
                                                  "bf071e1f-6035-429d-b874-d83ea64ea13b")))[0], 200)
        code, _, err = self.command("migrate")
        self.assertEqual(code, 6)
        self.assertIn("another attiod has this database open", err)
        self.assertEqual(a.stop(), 0)

    def test_newer_tables_are_refused(self):
        self.old()
        db = sqlite3.connect(self.db)
        db.execute("PRAGMA user_version = 99")
        db.close()
        for code, _, err in (self.command("migrate"), self.command("migrate", "--dry-run"), self.serve()):
            self.assertEqual(code, 6)
            self.assertIn("the database has tables of version 99, this program knows up to", err)
        self.assertEqual(self.version(), 99)

    def test_killed_in_it_the_old_version_is_whole_or_the_new_one(self):
        self.old()
        with sqlite3.connect(self.db) as db:  # something to keep
            db.executemany("INSERT INTO attiod_inbox (part, received_at, state, body) VALUES (0, 1, 0, ?)",
                           [("x" * 200,)] * 5000)
        db.close()
        template = self.db.with_name("template.db")
        shutil.copy(self.db, template)
        seen = set()
        rand = random.Random(int(os.environ.get("ATTIOD_SEED", "1")))
        for _ in range(25):
            for suffix in ("", "-wal", "-shm"):
                pathlib.Path(f"{self.db}{suffix}").unlink(missing_ok=True)
            shutil.copy(template, self.db)
            child = subprocess.Popen([str(BUILD / "attiod"), "migrate"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL, env={**os.environ, "DATABASE_URL": f"sqlite:{self.db}",
                                                                     "ATTIO_BASE_URL": "http://127.0.0.1:9"})
            try:
                child.wait(rand.random() * 0.3)  # any moment will do
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                child.wait()
            db = sqlite3.connect(self.db)
            version = db.execute("PRAGMA user_version").fetchone()[0]
            seen.add(version)
            tables = {n for (n,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
            columns = {r[1] for r in db.execute("PRAGMA table_info(attiod_webhook)")}
            self.assertEqual("attiod_audit" in tables, version > 1)
            self.assertEqual("retired_at" in columns, version > 1)
            self.assertEqual(db.execute("SELECT count(*) FROM attiod_inbox").fetchone()[0], 5001)
            self.assertEqual(db.execute("PRAGMA integrity_check").fetchone()[0], "ok")
            db.close()
        code, out, err = self.command("migrate")
        self.assertEqual(code, 0, err)
        self.assertIn(1, seen)


if __name__ == "__main__":
    unittest.main()
