#!/usr/bin/env bash
# clang-format over every C file; `tests/lint/format.sh --fix` writes instead of complaining.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

mode=(--dry-run -Werror)
[ "${1:-}" != --fix ] || mode=(-i)
git ls-files -coz --exclude-standard '*.c' '*.h' | xargs -0r clang-format "${mode[@]}"
