#!/usr/bin/python3
"""Looks for secrets and people in what a test run printed. Fails on any hit.

    log_scan.py [--names FILE] DIR     scan every file under DIR
    log_scan.py --self-test            plant each pattern's example and see it found

Patterns are in log_scan.patterns. --names: first and last names, one a line, that the simulator
gives to people; found as whole words. A hit is shown with the secret itself blanked, for this
output is a log too.
"""

import argparse
import pathlib
import re
import sys
import tempfile

PATTERNS = pathlib.Path(__file__).with_suffix(".patterns")


def lines_of(path):
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            yield line.strip()


def load(names_file):
    """Returns (name, regex, example) for each thing to look for."""
    patterns = []
    for line in lines_of(PATTERNS):
        name, regex, example = (part.strip() for part in line.split(" | "))
        patterns.append((name, re.compile(regex), example))
    if names_file:
        names = list(lines_of(names_file))
        either = "|".join(map(re.escape, names))
        patterns.append(("name", re.compile(rf"\b({either})\b"), names[0]))
    return patterns


def scan(folder, patterns):
    """Prints hits; returns (files read, hits per pattern name)."""
    files, hits = 0, {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
        files += 1
        with path.open(encoding="utf-8", errors="replace") as text:
            for number, line in enumerate(text, 1):
                for name, regex, _ in patterns:
                    if regex.search(line):
                        hits[name] = hits.get(name, 0) + 1
                        if hits[name] <= 10:
                            shown = regex.sub("<<<>>>", line.strip())[:200]
                            print(f"{path.relative_to(folder)}:{number}: {name}: {shown}")
    return files, hits


def self_test(patterns):
    clean = ('{"level":"info","event":"http.request","path":"/api/v1/events","status":200,'
             '"id":"6a1f0c52-6b1e-4f9c-9a43-0c1d2e3f4a5b","at":"2026-01-02T03:04:05.678+02:00",'
             '"authorization":"***","secret":"***","ms":1234567890123}\n')
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        log = folder / "deep" / "attiod.log"
        log.parent.mkdir()
        log.write_text(clean)
        if scan(folder, patterns)[1]:
            print("self-test: a clean log was refused")
            failed += 1
        for name, _, example in patterns:
            log.write_text(clean + f'{{"msg":"{example}"}}\n' + clean)
            if name not in scan(folder, patterns)[1]:
                print(f"self-test: {name} is not found in its own example")
                failed += 1
    print(f"self-test: {len(patterns)} patterns, {failed} failed")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--names", type=pathlib.Path)
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("folder", type=pathlib.Path, nargs="?")
    args = parser.parse_args()
    patterns = load(args.names)
    if args.self_test:
        return self_test(patterns)
    files, hits = scan(args.folder, patterns)
    print(f"log scan: {files} files, {sum(hits.values())} hits {hits or ''}".rstrip())
    if files == 0:
        print("log scan: nothing to read proves nothing")
        return 1
    return 1 if hits else 0


if __name__ == "__main__":
    sys.exit(main())
