#!/usr/bin/env bash
# Greps, each with the mistake it stops. Comments and the text of strings are not looked at.
#
# Where a rule is wrong for one file, tests/lint/exceptions.txt says so with the reason; an
# exception that nothing needs any more fails too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

exceptions=tests/lint/exceptions.txt
code=$(mktemp -d) # a mirror of the tree without comments
trap 'rm -rf "$code"' EXIT
failed=0

git ls-files -coz --exclude-standard '*.c' '*.h' '*.py' |
    while IFS= read -r -d '' file; do
        if [ -f "$file" ]; then
            printf '%s\0' "$file"
        fi
    done | tar -c --null -T - | tar -x -C "$code"
find "$code" -name '*.py' -exec sed -i 's/#.*//' {} +
# Keeps line numbers, includes and preprocessor lines.
find "$code" -name '*.[ch]' -exec perl -0777 -i -pe '
    s{(/\*.*?\*/|//[^\n]*)|("(?:\\.|[^"\\\n])*"|\x27(?:\\.|[^\x27\\\n])*\x27)}{
        my ($comment, $string) = ($1, $2);
        if (defined $comment) { (my $kept = $comment) =~ s/[^\n]//g; $kept }
        elsif (substr($_, $-[0] < 20 ? 0 : $-[0] - 20, $-[0] < 20 ? $-[0] : 20) =~ /#include\s*\z/) { $string }
        else { q("") }
    }gse' {} +

# ban RULE WHERE REGEX WHY: WHERE is a regex on the path; both are Perl's.
rules=()
used=$code.used
: >"$used"
trap 'rm -rf "$code" "$used"' EXIT
ban() {
    local rule=$1 where=$2 regex=$3 why=$4 hits
    rules+=("$rule")
    hits=$(find "$code" -type f -printf '%P\n' | grep -P "$where" | sort |
        (cd "$code" && xargs -r -d '\n' grep -nHP "$regex")) || true
    while IFS= read -r hit; do
        [ -n "$hit" ] || continue
        if grep -qE "^$rule +${hit%%:*}( |\$)" "$exceptions"; then
            echo "$rule ${hit%%:*}" >>"$used"
        else
            echo "$hit"
            echo "    $rule: $why"
            failed=1
        fi
    done <<<"$hits"
}

ours='^(src|include|tests|bench)/.*\.[ch]$'
product='^(src|include)/.*\.[ch]$'
not_infra='^(src|include)/(base|attio|attiod|service|api|app|handlers|sim)/.*\.[ch]$'
call='(?<![\w>.])' # a plain call: no longer name, no member of a struct

ban unsafe-string "$ours" "$call(strcpy|strcat|v?sprintf|strn(cpy|cat)|strtok|gets|ato(i|l|ll|f))\s*\(" \
    "no bound, or no way to see an error: use base/str.h and base/buf.h"
ban rand "$ours" "$call(s?rand|s?random|drand48)\s*\(" \
    "not seedable per test and not random enough for keys: use base/rand.h"
ban malloc "$product" "$call(malloc|calloc|realloc|reallocarray|free|strn?dup|v?asprintf)\s*\(" \
    "escapes the counting heap, so no test can make it fail: use base/mem.h"
ban free-callback "$ours" '\(\s*\w+_cb\s*\)\s*free\b|,\s*free\s*[,)]' \
    "free as a callback is a call through the wrong type, and no compiler here warns"
ban printf '^src/(base|infra|attio|service|api|handlers)/' \
    "$call(v?f?printf|f?puts|f?putc|putchar|perror)\s*\(" \
    "what is not logged through base/log.h is not redacted"
ban secret-compare '^src/(attio/webhook|attio/client_change|app/tokens|infra/crypto)\.c$' \
    "$call(memcmp|bcmp|strn?(case)?cmp)\s*\(" \
    "ends at the first difference and so tells how much was right: ad_equal_constant_time"
ban assert "$product" "$call"'assert\s*\(' \
    "vanishes with NDEBUG: AD_ASSERT does not"
ban libuv "$not_infra" '\buv_\w+|<uv\.h>' "libuv is infra's"
ban llhttp "$not_infra" '\bllhttp_\w+|<llhttp\.h>' "llhttp is infra's"
ban sqlite "$not_infra" '\bsqlite3_\w+|<sqlite3\.h>' "the SQL store is infra's"
ban mbedtls "$not_infra" '\bmbedtls_\w+|<mbedtls/' "crypto is infra's"
ban postgres "$not_infra" '\bPQ[a-z]\w+|<libpq-fe\.h>' "the SQL store is infra's"
ban redis "$not_infra" '\bredis(Command|Append|Async|Connect|Context|Format|Get|Reader|Reply)\w*' \
    "Redis is infra's"
ban yajl '^(src|include)/(?!base/json)' '\byajl_\w+|<yajl/' "JSON is base's"
ban third-party-header '^include/' '#\s*include\s*<(uv|llhttp|sqlite3|yajl|mbedtls|hiredis|libpq)' \
    "a library's type in a header reaches every layer above"
ban base-world '^(src|include)/base/' \
    "$call(socket|connect|accept|open|fopen|read|write|time|gettimeofday|clock_gettime|getrandom|getenv|pthread_\w+|fork)\s*\(" \
    "base does no I/O, keeps no time and starts no thread: infra implements, app injects"
ban dotdot "$ours" '#\s*include\s*"([^"]*/)?\.\./' \
    "a relative include walks around the include roots"
ban struct-typedef '^include/' '^\s*typedef\s+(struct|union)\b' \
    "struct ad_x says what it is; typedefs are for callbacks"
ban sleep "$ours" "$call(sleep|usleep|nanosleep|uv_sleep)\s*\(" \
    "a sleep is a guess: wait for the condition"
ban sleep-py '^(tests|bench)/.*\.py$' '\bsleep\s*\(' \
    "a sleep is a guess: wait for the condition"

# Looks at comments on purpose.
if git grep -nP --untracked '\b(TODO|FIXME|XXX)\b(?!\(#\d+\))' -- '*.[ch]' '*.py' '*CMakeLists.txt'; then
    echo "    todo: say which issue will do it, as TODO(#12), or do it"
    failed=1
fi

while read -r rule path _; do
    case $rule in '' | '#'*) continue ;; esac
    if ! printf '%s\n' "${rules[@]}" | grep -qx "$rule"; then
        echo "$exceptions: there is no rule $rule"
        failed=1
    elif ! grep -qx "$rule $path" "$used"; then
        echo "$exceptions: $rule $path is not needed any more"
        failed=1
    fi
done <"$exceptions"

exit $failed
