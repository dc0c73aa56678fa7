#!/usr/bin/env bash
# Proves that the layer rule holds, and that breaking it does not build.
#
# The tree is copied under build/, linked with the layers preset, and then one wrong line at a time
# is appended to a source of the copy: an include of a layer that may not be seen, and a call,
# declared by hand, of a function that really exists there. Only the wrong layer's target is
# built, and it must fail for exactly that reason.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

tree=$PWD/build/layers-proof/tree
build=$PWD/build/layers-proof/build
failed=0

tally() {
    [ -z "${ATTIOD_TALLY:-}" ] || echo "$1" >>"$ATTIOD_TALLY"
}
ok() {
    echo "ok    $1"
    tally "1 0 0"
}
fail() {
    echo "FAIL  $1"
    tally "0 1 0"
    failed=1
}

rm -rf "$tree"
mkdir -p "$tree" "$build"
git ls-files -coz --exclude-standard |
    while IFS= read -r -d '' file; do
        if [ -f "$file" ]; then
            printf '%s\0' "$file"
        fi
    done | tar -c --null -T - | tar -x -C "$tree"

log=$build/last.log
if cmake --preset layers -S "$tree" -B "$build" >"$log" 2>&1 && cmake --build "$build" >>"$log" 2>&1; then
    ok "every layer links with no more than base and the layer below it"
else
    tail -n 60 "$log"
    fail "the layers preset builds"
    exit 1
fi

# A source that the build compiles for a layer; a header, and a function, that a layer offers.
source_of() {
    sed -n "s|^ *\"file\": \"\($tree/src/$1/.*\)\",\{0,1\}\$|\1|p" "$build/compile_commands.json" |
        grep -v /main.c | head -n 1
}
header_of() {
    find "$tree/include/$1" -name '*.h' | sort | head -n 1 | sed "s|^$tree/include/||"
}
function_of() {
    nm -D --defined-only "$build/src/$1/libad_$1.so" 2>/dev/null |
        awk '$2 == "T" && $3 ~ /^ad_/ { print $3; exit }'
}

# seed WHAT LAYER LINE REGEX: the layer must not build with the line, and must say why.
seed() {
    local what=$1 layer=$2 line=$3 expected=$4 source
    source=$(source_of "$layer")
    if [ -z "$source" ] || [ -z "$line" ]; then
        echo "skip  $what: nothing there to try it on"
        tally "0 0 1"
        return
    fi
    cp "$source" "$build/kept.c"
    printf '\n%s\n' "$line" >>"$source"
    if cmake --build "$build" --target "ad_$layer" >"$log" 2>&1; then
        fail "$what: it built"
    elif grep -qE "$expected" "$log"; then
        ok "$what: $(grep -oE "$expected" "$log" | head -n 1)"
    else
        tail -n 30 "$log"
        fail "$what: failed, but not with: $expected"
    fi
    cp "$build/kept.c" "$source" # a new time, so that the next build compiles it again
}
wrong_include() {
    local header
    header=$(header_of "$2")
    seed "$1 includes $2" "$1" "${header:+#include \"$header\"}" "$header: No such file or directory"
}
wrong_call() { # LAYER WHERE FUNCTION
    local line=
    [ -z "$3" ] || line="extern int $3(void); int seeded(void); int seeded(void) { return $3(); }"
    seed "$1 calls $2" "$1" "$line" "undefined reference to .*\b$3'"
}

# Past the layer below, and upwards; handlers see their own API alone.
for pair in base:infra infra:attio attio:service service:api \
    attio:api service:infra api:attio api:infra sim:attio; do
    wrong_include "${pair%:*}" "${pair#*:}"
    wrong_call "${pair%:*}" "${pair#*:}" "$(function_of "${pair#*:}")"
done
wrong_include handlers service
wrong_include handlers base
wrong_include api attiod

# Libraries from outside: their headers are on the system's path, so only the link can tell.
wrong_call base libuv uv_now
wrong_call attio SQLite sqlite3_errcode
wrong_call attio llhttp llhttp_init
wrong_call service libuv uv_now
wrong_call api yajl yajl_version
wrong_call infra yajl yajl_version

if cmake --build "$build" >"$log" 2>&1; then
    ok "with every seed taken out again it builds"
else
    tail -n 30 "$log"
    fail "with every seed taken out again it builds"
fi
exit $failed
