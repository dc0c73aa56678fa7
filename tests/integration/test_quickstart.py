# timeout: 1200
# alone: yes
"""The README's first command does everything, by itself: on a simulated workspace, and on one behind TLS as a real one is."""

import os
import pathlib
import re
import ssl
import subprocess
import tempfile
import unittest

from support.attiod import API_KEY, Sim, free_port

SOURCE = pathlib.Path(os.environ.get("ATTIOD_SOURCE_DIR", "."))


def run_it(environment=None):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ATTIO_", "SSL_"))}
    return subprocess.run([SOURCE / "deploy/quickstart", "--once"], capture_output=True, text=True, timeout=850,
                          stdin=subprocess.DEVNULL, env={**clean, **(environment or {})}, check=False)


class Quickstart(unittest.TestCase):
    def test_once_mirrors_the_whole_workspace_and_says_so(self):
        done = run_it()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, re.compile(r"The mirror equals the workspace: \d{4} records, \d+ events, \d+ calls"))


class RealWorkspace(unittest.TestCase):
    """attio-sim behind TLS is as good as Attio here: the script knows no difference."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        subprocess.run([SOURCE / "tests/support/certs.sh", cls.folder.name], check=True)

    def setUp(self):
        trust = ssl.create_default_context(cafile=f"{self.folder.name}/ca.pem")
        self.sim = Sim(people=60, companies=20, deals=10, tls=trust, extra=[
            "--tls-cert", f"{self.folder.name}/good.pem", "--tls-key", f"{self.folder.name}/good.key"])
        self.addCleanup(self.sim.stop)
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)

    def run_real(self, **environment):
        return run_it({"ATTIO_API_KEY": API_KEY, "ATTIO_BASE_URL": self.sim.url,
                       "SSL_CERT_FILE": f"{self.folder.name}/ca.pem", "QUICKSTART_DIR": self.directory.name, **environment})

    def test_it_mirrors_by_sync_alone_and_edits_nothing(self):
        for _ in range(2):  # the second time into the same folder
            done = self.run_real()
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("The mirror equals the workspace: 90 records", done.stdout)
            self.assertIn("Live events need ATTIOD_PUBLIC_URL", done.stdout)
        self.assertEqual(self.sim.requests()["writes"], 0)

    def test_with_a_public_url_it_registers_a_webhook(self):
        port = free_port()
        done = self.run_real(ATTIOD_PUBLIC_URL=f"http://127.0.0.1:{port}", ATTIOD_LISTEN=f"127.0.0.1:{port}")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(f"http://127.0.0.1:{port}/webhooks/attio", done.stdout)

    def test_a_record_that_is_not_there_fails_the_comparison(self):
        self.sim.faults(route="/v2/objects/people/records/", method="GET", status=404)
        done = self.run_real()
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("differ between mirror and workspace", done.stderr)

    def test_it_says_why_it_cannot(self):
        done = self.run_real(ATTIO_API_KEY="another-key-than-that")
        self.assertEqual(done.returncode, 5, done.stdout + done.stderr)
        done = self.run_real(SSL_CERT_FILE=f"{self.folder.name}/other-ca.pem")
        self.assertEqual(done.returncode, 4, done.stdout + done.stderr)
        self.assertIn("is not signed by a known authority", done.stderr)
