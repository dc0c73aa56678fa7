# build: release
# timeout: 1800
# takes: 100
"""The disk fails, at each call in turn, or the power does: what was answered 200 is there afterwards, once, and nothing else was
promised.

    ATTIOD_TORTURE=full   every call with every error, and many more power cuts (tests/run long); of a backup every
                          call with the first error of each kind, some with the others
    ATTIOD_SEED=n         of the power cuts
"""

import errno
import os
import pathlib
import random
import shutil
import sqlite3
import subprocess
import tempfile
import time
import unittest

from support.attiod import (API_KEY, BUILD, Attiod, Sim, differences, envelope, event, post_all, request, until, wire)
from support.disk import Disk

FULL = os.environ.get("ATTIOD_TORTURE") == "full"
SEED = int(os.environ.get("ATTIOD_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
QUIET = {"ATTIO_ENABLED": "false"}
WORKSPACE, OBJECT, RECORD = ("14beef7a-99f7-4534-a87e-70b564330a4c", "97052eb9-e65e-443f-a297-f2d9a4a7f795",
                             "bf071e1f-6035-429d-b874-d83ea64ea13b")

# What each call may say; 0 is a write that takes half. The first of each in every run.
ERRORS = {
    "WRITE": (errno.EIO, errno.ENOSPC, 0, errno.EINTR),
    "SYNC": (errno.EIO, errno.ENOSPC, errno.EINTR),
    "READ": (errno.EIO, errno.EINTR),
    "OPEN": (errno.EMFILE, errno.EIO, errno.ENOSPC, errno.EINTR),
    "TRUNCATE": (errno.EIO, errno.EINTR),
    "STAT": (errno.EIO,),
    "LOCK": (errno.ENOLCK, errno.EINTR),
    "MAP": (errno.ENOMEM,),
    "UNLINK": (errno.EIO,),
    "LINK": (errno.EIO,),
}


def errors():
    return [(call, error) for call, some in ERRORS.items() for error in (some if FULL else some[:1])]


def after(n, each=FULL):
    """As torture_next in torture.h."""
    return n + 1 + (0 if each else n // 8)


class Trying(Attiod):
    """One that may as well end while it starts."""

    def listening(self, name, seconds=30.0):
        try:
            return super().listening(name, seconds)
        except AssertionError:
            if self.child.returncode is None:
                raise
            return None


class OnDisk(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        self.addCleanup(folder.cleanup)
        self.place = pathlib.Path(folder.name)
        self.random = random.Random(SEED)
        self.disks = 0
        self.sent = {}  # key to the bytes on the wire
        self.acked = set()
        self.server = None
        self.addCleanup(self.end)
        print(f"seed {SEED} (ATTIOD_SEED)")

    def directory(self, name):
        (self.place / name).mkdir(exist_ok=True)
        return self.place / name

    def disk(self, directory):
        self.disks += 1
        return Disk(directory, self.place / f"disk-{self.disks}", self.random)

    def end(self):
        if self.server and self.server.child.poll() is None:
            self.server.kill()

    def serve(self, directory, environment=None, kind=Attiod, sim=None):
        self.end()  # what a round that failed has left
        self.server = kind(sim, directory, {**({} if sim else QUIET), **(environment or {})})
        return self.server

    def load(self, count, size=0):
        out = []
        for _ in range(count):
            key = f"disk-{len(self.sent)}-{self.random.getrandbits(64):x}"
            body = envelope(event("record.updated", WORKSPACE, OBJECT, RECORD, padding="x" * size))
            self.sent[key] = wire(body, key)
            out.append((key, self.sent[key]))
        return out

    def post(self, server, count):
        """How many were refused."""
        answers = post_all(server.port, self.load(count), connections=count, ahead=1, seconds=30)
        self.assertEqual(len(answers), count, "each delivery is answered")
        self.assertLessEqual({status for _, status in answers}, {200, 503})
        self.acked |= {key for key, status in answers if status == 200}
        return sum(status == 503 for _, status in answers)

    def heals(self, server):
        until(lambda: self.post(server, 1) == 0, "acknowledged again", 5, 0.02)

    def check(self, directory, acked=None):
        """A server on these files knows every delivery that was acknowledged, and the database is whole."""
        acked = sorted(self.acked if acked is None else acked)
        server = self.serve(directory)
        known = set()
        answers = post_all(server.port, [(key, self.sent[key]) for key in acked], connections=16, known=known)
        self.assertEqual({status for _, status in answers}, {200} if acked else set())
        self.assertEqual(sorted(set(acked) - known), [], "acknowledged, but not there")
        self.assertEqual(server.stop(), 0)
        with sqlite3.connect(server.db) as db:
            self.assertEqual(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            twice = db.execute("SELECT count(*) FROM (SELECT dedupe FROM attiod_inbox GROUP BY dedupe HAVING count(*) > 1)")
            self.assertEqual(twice.fetchone(), (0,))


class Calls(OnDisk):
    def while_it_runs(self, call, error, load, only="", following=after):
        """Each such call of `load(server, disk)` fails: alone, then with all that follow. How many rounds that were."""
        directory = self.directory(f"{call}-{error}{only}")
        disk = self.disk(directory)
        server = self.serve(directory, disk.environment())
        self.acked = set()
        self.post(server, 4)
        # Who is interrupted asks again, and SQLite does so for ever: no system interrupts for ever.
        for times in (1, 8 if error == errno.EINTR else 1 << 30):
            n, failed = 0, 1
            while failed:
                disk.fail(call, n, times, error, only)
                load(server, disk)
                failed = disk.heal()
                self.heals(server)
                n = following(n)
        server.kill()
        # The power goes as well: what a failed sync should have made durable must have been written again.
        disk.cut(self.place / "image")
        disk.close()
        self.check(self.place / "image")
        shutil.rmtree(self.place / "image")
        shutil.rmtree(directory)
        return n

    def test_each_call_while_deliveries_come(self):
        for call, error in errors():
            with self.subTest(call=call, error=error):
                n = self.while_it_runs(call, error, lambda server, _: [self.post(server, 2) for _ in range(3)])
                if call in ("WRITE", "SYNC"):
                    self.assertGreater(n, 1)

    def test_each_call_while_the_log_is_copied_into_the_database(self):
        def until_copied(server, disk):
            before = server.db.stat().st_mtime_ns
            for _ in range(2000):  # a group each, and a log is copied at 1,000 pages
                self.post(server, 1)
                if server.db.stat().st_mtime_ns != before or disk.failed():
                    self.post(server, 1)  # who copies takes it after that
                    return
            self.fail("the log was not copied")
        for call, error in [("SYNC", errno.EIO)] + ([("WRITE", errno.EIO), ("WRITE", errno.ENOSPC)] if FULL else []):
            with self.subTest(call=call, error=error):
                # Not each n: what one copy did not do is left to the next, which is then the longer one.
                n = self.while_it_runs(call, error, until_copied, only=".db", following=lambda n: n + 1 + n // 8)
                self.assertGreater(n, 1, "the copy made such a call")

    def start_each(self, call, error, directory):
        n, failed = 0, 1
        while failed:
            disk = self.disk(directory)
            disk.fail(call, n, 1, error)
            server = self.serve(directory, disk.environment(follow=False), Trying)
            failed = disk.heal()
            if server.child.returncode is None:
                self.heals(server)
                server.kill()  # its log is there for the next one
            else:
                self.assertIn(server.child.returncode, (1, 6), f"{call} {n} {error}: {server.log_path.read_text()}")
                self.assertTrue(failed, server.log_path.read_text())
            disk.close()
            n = after(n)

    def test_each_call_of_a_start(self):
        directory = self.directory("start")
        server = self.serve(directory)
        self.post(server, 20)
        server.kill()
        for call, error in errors():
            with self.subTest(call=call, error=error):
                self.start_each(call, error, directory)
        self.check(directory)
        for call, error in errors() if FULL else [("WRITE", errno.EIO), ("SYNC", errno.EIO), ("OPEN", errno.EMFILE)]:
            with self.subTest("on no database", call=call, error=error):
                empty = self.directory("empty")
                self.acked = set()
                self.start_each(call, error, empty)
                self.check(empty)
                shutil.rmtree(empty)

    def back_up(self, server, copy):
        return subprocess.run([BUILD / "attiod", "backup", copy, "--url", f"http://127.0.0.1:{server.internal}"],
                              capture_output=True, text=True, timeout=60, env={**os.environ, "ATTIO_API_KEY": API_KEY})

    def test_each_call_of_a_backup(self):
        """It has its name only when it is whole; and once that was said, it is there after a power cut."""
        directory = self.directory("backup")
        disk = self.disk(directory)
        server = self.serve(directory, disk.environment())
        self.post(server, 8)
        wanted, made = set(self.acked), {}
        for call, error in errors():
            n, failed = 0, 1
            while failed:
                copy = directory / f"copy-{call}-{error}-{n}.db"
                disk.fail(call, n, 1, error)
                done = self.back_up(server, copy)
                failed = disk.heal()
                self.assertTrue(done.returncode == 0 or failed, done.stderr)
                if copy.exists():
                    made[copy.name] = done.returncode == 0
                self.heals(server)
                n = after(n, FULL and error == ERRORS[call][0])
        server.kill()
        disk.cut(self.place / "image")
        self.assertGreater(sum(made.values()), 0)
        for name, done in made.items():
            with self.subTest(name), sqlite3.connect((self.place / "image" if done else directory) / name) as db:
                self.assertEqual(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
                kept = {bytes(key).decode() if isinstance(key, bytes) else key
                        for (key,) in db.execute("SELECT dedupe FROM attiod_inbox")}
                self.assertLessEqual(wanted, kept)


class Power(OnDisk):
    def handles_what_is_left(self, directory, sim):
        """As after any start: soon ready, every event done, the mirror as the workspace."""
        begun = time.monotonic()
        server = self.serve(directory, sim=sim)
        until(lambda: request(server.port, "GET", "/readyz")[0] == 200, "ready again", 5, 0.002)
        self.assertLess(time.monotonic() - begun, 5)
        server.until_idle(120)
        for slug in ("people", "companies", "deals"):
            request(server.internal, "POST", f"/api/v1/sync/{slug}", {})
        until(lambda: differences(sim, server.db) == [], "mirror equals workspace", 60, 0.1)
        server.until_idle(60)
        with sqlite3.connect(server.db) as db:
            self.assertEqual(db.execute("SELECT DISTINCT state FROM attiod_inbox").fetchall(), [(3,)])
        self.assertEqual(server.stop(), 0)

    def test_power_cuts_under_load(self):
        sim = Sim(people=200, companies=40, deals=20, extra=("--rate-per-url", "1000"))
        self.addCleanup(sim.stop)
        directory = self.directory("0")
        cuts = 0
        for life in range(1, 26 if FULL else 4):
            disk = self.disk(directory)
            server = self.serve(directory, disk.environment(), sim=sim)
            sim.control("POST", "/edit", {"count": 50})
            images = []
            moments = sorted(self.random.sample(range(2000), 6 if life > 1 else 12))

            def watch(streams):
                acked = {key for s in streams for key, status in s.answers if status == 200}
                if moments and len(acked) >= moments[0]:
                    while moments and len(acked) >= moments[0]:
                        moments.pop(0)
                    images.append((self.place / f"{life}.{len(images)}", acked))
                    disk.cut(images[-1][0])

            answers = post_all(server.port, self.load(2000, 600), connections=32, ahead=4, watch=watch)
            server.kill()
            disk.close()
            self.assertGreater(len(images), 1)
            before = set(self.acked)
            for image, acked in images:
                cuts += 1
                self.check(image, before | acked)
            # The last of them is what the next life finds.
            self.acked |= images[-1][1]
            directory = images[-1][0]
            for image, _ in images[:-1]:
                shutil.rmtree(image)
            self.assertLessEqual({status for _, status in answers}, {200, 503})
        self.handles_what_is_left(directory, sim)
        print(f"{cuts} power cuts, {len(self.acked)} deliveries")
