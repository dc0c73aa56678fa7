#!/usr/bin/env bash
# clang-tidy over every source of ours that the given build compiles; shows findings only.
#   tests/lint/tidy.sh BUILD_DIR [JOBS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

build=${1:?build folder}
jobs=${2:-2}
findings=$(mktemp)
trap 'rm -f "$findings"' EXIT

# What gcc was told and clang does not know is no finding.
sources() {
    sed -n 's/^ *"file": "\(.*\)",\{0,1\}$/\1/p' "$build/compile_commands.json" |
        grep -E "^$PWD/(src|tests)/" | sort -u
}
one() {
    clang-tidy --quiet -p "$1" --extra-arg=-Wno-unknown-warning-option "$2" 2>/dev/null
}
export -f one

sources | xargs -r -d '\n' -P "$jobs" -I{} bash -c 'one "$@"' _ "$build" {} >"$findings" || {
    cat "$findings"
    exit 1
}
