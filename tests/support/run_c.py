#!/usr/bin/python3
"""Runs the libcheck executables with one ctest label and counts every check, not every executable.

    run_c.py BUILD_DIR LABEL [--jobs N]

libcheck writes a TAP line a test (ad_test in tests/CMakeLists.txt says where); ctest enforces the
time limit and shows the output of what failed. An executable that failed without a failed check
(crash, time limit, a leak found at exit) counts as one failure.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as ET


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("label")
    parser.add_argument("--jobs", default="1")
    args = parser.parse_args()

    build = args.build.resolve()
    taps = build / "tap"
    junit = build / f"ctest-{args.label}.xml"
    junit.unlink(missing_ok=True)
    for old in taps.glob("*.tap"):
        old.unlink()

    subprocess.run(
        ["ctest", "--test-dir", build, "-L", f"^{args.label}$", "-j", args.jobs, "--no-tests=ignore",
         "--output-on-failure", "--output-junit", junit], check=False)
    sys.stdout.flush()
    cases = list(ET.parse(junit).getroot().iter("testcase")) if junit.exists() else []
    if not cases:
        return 0  # no test carries the label

    passed = failed = 0
    for case in cases:
        name = case.get("name")
        tap = taps / f"{name}.tap"
        lines = tap.read_text(errors="replace").splitlines() if tap.exists() else []
        ok = sum(line.startswith("ok ") for line in lines)
        bad = [line for line in lines if line.startswith("not ok ")]
        if case.get("status") != "run" and not bad:
            bad = [f"not ok - {name}: the executable failed ({ok} checks had passed)"]
        passed += ok
        failed += len(bad)
        for line in bad:
            print(line)
    print(f"{args.label}: {passed} checks passed, {failed} failed")

    if "ATTIOD_TALLY" in os.environ:
        with open(os.environ["ATTIOD_TALLY"], "a", encoding="ascii") as tally:
            tally.write(f"{passed} {failed} 0\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
