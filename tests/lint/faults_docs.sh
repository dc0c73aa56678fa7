#!/usr/bin/env bash
# Every test that tests/FAULTS.md names is there: `file::name` a test in that file, `file::*` and `file` the file itself.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

wrong=0
complain() {
    echo "tests/FAULTS.md: $*"
    wrong=1
}

# shellcheck disable=SC2016 # a backtick is meant
names=$(grep -o '`[a-z_]*/[A-Za-z_0-9./]*\(::[A-Za-z_0-9*]*\)\?`' FAULTS.md | tr -d '`' | sort -u)
[ "$(wc -l <<<"$names")" -gt 100 ] || complain "hardly any test is named: has its form changed?"
while IFS= read -r name; do
    file=${name%%::*}
    test=${name##*::}
    if [ ! -f "$file" ]; then
        [ -f "../$file" ] || complain "no file $file"
    elif [[ $name == *::* && $test != '*' ]] &&
        ! grep -qE "^ *def $test\(self\)|^START_TEST\($test\)" "$file"; then
        complain "no test $test in $file"
    fi
done <<<"$names"
exit $wrong
