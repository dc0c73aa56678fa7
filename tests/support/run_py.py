#!/usr/bin/python3
"""Runs Python test modules (unittest, standard library only), each in a process of its own.

    run_py.py [--jobs N] tests/integration/test_x.py ...

N modules run at once (default 1; they mostly wait), each shown when it is through. Every test method
counts. A module may say, in comment lines of its own:

    # build: debug release     the builds it runs against, one after the other (default: debug)
    # timeout: 900             seconds for the whole module, for each build (default: 300)
    # takes: 60                seconds it may take; the longest begin first (default: 10)
    # alone: yes               it holds the program to figures: nothing else runs beside it (default: no)

It finds the build in ATTIOD_BUILD_DIR, the source tree in ATTIOD_SOURCE_DIR, and puts what its
processes print into files in ATTIOD_TEST_LOGS. At its end, or when its time is up, everything it
started is killed: a module runs in a process group of its own.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]


class Result(unittest.TestResult):
    """One line a test as it ends, the traceback right under a failure."""

    def __init__(self, counts_file):
        super().__init__()
        self.counts_file = pathlib.Path(counts_file)
        self.passed = 0
        self.started = time.monotonic()

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()

    def say(self, word, test, detail=""):
        print(f"{word:5} {test.id()} ({time.monotonic() - self.started:.1f} s) {detail}".rstrip(), flush=True)

    def addSuccess(self, test):
        self.passed += 1
        self.say("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.say("skip", test, reason)

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.passed += 1
        self.say("ok", test, "(expected failure)")

    def fail(self, test, text):
        print(text)
        self.say("FAIL", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.fail(test, self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.fail(test, self.errors[-1][1])

    def addSubTest(self, test, subtest, err):
        if err is not None:
            super().addSubTest(test, subtest, err)
            self.fail(subtest, (self.failures + self.errors)[-1][1])

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.say("FAIL", test, "succeeded although a failure was expected")

    def save(self):
        failed = len(self.failures) + len(self.errors) + len(self.unexpectedSuccesses)
        self.counts_file.write_text(f"{self.passed} {failed} {len(self.skipped)}", encoding="ascii")

    def stopTest(self, test):
        super().stopTest(test)
        self.save()  # after each, so that a time limit does not lose what was done


def run_one(module, counts_file):
    """In the child: runs one module and leaves its counts in a file."""
    sys.path[:0] = [str(module.parent), str(SOURCE / "tests")]
    result = Result(counts_file)
    unittest.defaultTestLoader.loadTestsFromName(module.stem).run(result)
    result.save()  # also what failed outside of any test: an import, setUpClass
    return 0


def setting(module, name, default):
    match = re.search(rf"^# {name}: *(.*)$", module.read_text(encoding="utf-8"), re.M)
    return match.group(1) if match else default


def run_in_child(module, build):
    """Returns (passed, failed, skipped) of one module against one build, and what it printed."""
    limit = float(setting(module, "timeout", "300"))
    environment = dict(os.environ, ATTIOD_BUILD_DIR=str(SOURCE / "build" / build),
                       ATTIOD_SOURCE_DIR=str(SOURCE))
    environment.setdefault("ATTIOD_TEST_LOGS", str(SOURCE / "build/test-logs"))
    environment.setdefault("ATTIOD_KILL_ROUNDS", "50")
    os.makedirs(environment["ATTIOD_TEST_LOGS"], exist_ok=True)
    with tempfile.NamedTemporaryFile("r", encoding="ascii") as counts, \
            tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        child = subprocess.Popen([sys.executable, __file__, "--one", str(module), counts.name],
                                 env=environment, start_new_session=True, stdout=output,
                                 stderr=subprocess.STDOUT)
        trouble = ""
        try:
            if child.wait(timeout=limit) != 0:
                trouble = f"ended with {child.returncode}"
        except subprocess.TimeoutExpired:
            trouble = f"not done within {limit:g} s"
        finally:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            child.wait()
        numbers = counts.read().split()
        output.seek(0)
        text = f"-- {module.name} [{build}]\n{output.read()}"
    passed, failed, skipped = (int(n) for n in numbers) if numbers else (0, 0, 0)
    if trouble:
        text += f"FAIL  {module.name} [{build}]: {trouble}\n"
        failed += 1
    return (passed, failed, skipped), text


def main():
    if sys.argv[1:2] == ["--one"]:
        return run_one(pathlib.Path(sys.argv[2]), sys.argv[3])
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("modules", type=pathlib.Path, nargs="+")
    args = parser.parse_args()
    total = [0, 0, 0]
    crowd, alone = [], []
    for module in args.modules:
        for build in setting(module, "build", "debug").split():
            whose = alone if setting(module, "alone", "no") == "yes" else crowd
            whose.append((module.resolve(), build))
    crowd.sort(key=lambda run: -int(setting(run[0], "takes", "10")))
    for runs, at_once in (crowd, args.jobs), (alone, 1):
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            for run in concurrent.futures.as_completed([pool.submit(run_in_child, *r) for r in runs]):
                counts, text = run.result()
                print(text, end="", flush=True)
                total = [a + b for a, b in zip(total, counts)]
    print("python: {} tests passed, {} failed, {} skipped".format(*total))
    if "ATTIOD_TALLY" in os.environ:
        with open(os.environ["ATTIOD_TALLY"], "a", encoding="ascii") as tally:
            tally.write("{} {} {}\n".format(*total))
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
