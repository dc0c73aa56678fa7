#!/usr/bin/env bash
# Every file that starts as a shell script goes through shellcheck, whatever its name.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

git ls-files -coz --exclude-standard | while IFS= read -r -d '' file; do
    if [ -f "$file" ] && head -c 64 "$file" | head -n 1 | grep -qaE '^#!.*\b(ba|da|)sh$'; then
        printf '%s\0' "$file"
    fi
done | xargs -0r shellcheck
