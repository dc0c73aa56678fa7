#!/usr/bin/env bash
# Headers are the manual and the border of a layer:
#   - each compiles alone, seeing only its own layer's headers and base's
#   - its include guard says where it lives
#   - the source of the same name includes it first, which proves the same in the real build
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

roots=$(mktemp -d)
trap 'rm -rf "$roots"' EXIT
failed=0
fail() {
    echo "$*"
    failed=1
}

for folder in include/*/; do
    layer=$(basename "$folder")
    mkdir "$roots/$layer"
    ln -s "$PWD/include/$layer" "$roots/$layer/$layer"
done

for header in include/*/*.h; do
    name=${header#include/}
    layer=${name%%/*}
    see=("-I$roots/$layer")
    [ "$layer" = attiod ] || see+=("-I$roots/base") # the C API for handlers stands without base
    echo "#include \"$name\"" |
        gcc -std=c11 -D_GNU_SOURCE -fsyntax-only -Wall -Wextra -Wpedantic -Wundef \
            -Wstrict-prototypes -Werror "${see[@]}" -x c - || fail "$header: does not compile alone"

    guard="AD_$(echo "$name" | tr 'a-z./' 'A-Z__')"
    [ "$layer" != attiod ] || guard=${guard#AD_}
    grep -q "^#ifndef $guard\$" "$header" || fail "$header: include guard is not $guard"
done

while IFS= read -r source; do
    layer=${source#src/}
    layer=${layer%%/*}
    own=$layer/$(basename "$source" .c).h
    [ -f "include/$own" ] || continue
    first=$(grep -m 1 '^#include' "$source" || true)
    [ "$first" = "#include \"$own\"" ] || fail "$source: includes $first before \"$own\""
done < <(find src -name '*.c')

exit $failed
