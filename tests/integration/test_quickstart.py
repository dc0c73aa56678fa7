# timeout: 900
"""The README's first command does everything, by itself."""

import os
import pathlib
import re
import subprocess
import unittest

SOURCE = pathlib.Path(os.environ.get("ATTIOD_SOURCE_DIR", "."))


class Quickstart(unittest.TestCase):
    def run_it(self, environment=None):
        return subprocess.run([SOURCE / "deploy/quickstart", "--once"], capture_output=True, text=True, timeout=850,
                              stdin=subprocess.DEVNULL, env={**os.environ, **(environment or {})}, check=False)

    def test_once_mirrors_the_whole_workspace_and_says_so(self):
        done = self.run_it()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, re.compile(r"The mirror equals the workspace: \d{4} records, \d+ events, \d+ calls"))

    def test_with_a_real_key_it_says_that_tls_is_missing_and_exits_3(self):
        done = self.run_it({"ATTIO_API_KEY": "sim-key-real"})
        self.assertEqual(done.returncode, 3)
        self.assertIn("TLS", done.stderr)
