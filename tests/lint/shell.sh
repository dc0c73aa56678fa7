#!/usr/bin/env bash
# Every file that starts as a shell script goes through shellcheck, whatever its name.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# shellcheck disable=SC2016 # the variables are Perl's
git ls-files -coz --exclude-standard |
    xargs -0r perl -ne 'print "$ARGV\0" if m{^#!.*\b(ba|da|)sh$}; close ARGV' 2>/dev/null |
    xargs -0r -n 4 -P "$(nproc)" shellcheck
