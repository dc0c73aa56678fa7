#!/usr/bin/env bash
# clang-format over every C file. `tests/lint/format.sh --fix [FILE...]` writes instead of complaining.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if [ "${1:-}" = --fix ]; then
    shift
    if [ $# -gt 0 ]; then
        clang-format -i "$@"
    else
        git ls-files -coz --exclude-standard '*.c' '*.h' | xargs -0r clang-format -i
    fi
    exit
fi

wrong=$(git ls-files -coz --exclude-standard '*.c' '*.h' |
    xargs -0r clang-format --dry-run 2>&1 | grep 'clang-format-violations' || true)
if [ -n "$wrong" ]; then
    echo "$wrong" | cut -d: -f1 | sort | uniq -c
    echo "$wrong" | head -n 20
    echo "tests/lint/format.sh --fix puts it right"
    exit 1
fi
