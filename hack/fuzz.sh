#!/usr/bin/env bash
# Runs every fuzz target of this module in turn, for FUZZTIME seconds (or 30m,
# 1h …) in total. FUZZ=NAME runs that one alone. What it finds is written to
# testdata/fuzz beside the test: commit it, it is a test from then on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

total=${FUZZTIME:-60s}
case $total in
    *h) seconds=$((${total%h} * 3600)) ;;
    *m) seconds=$((${total%m} * 60)) ;;
    *) seconds=${total%s} ;;
esac

mapfile -t targets < <(grep -rHo --include='*_test.go' --exclude-dir=test --exclude-dir=cmd '^func Fuzz[A-Za-z0-9]*' apis pkg syncer |
    sed -E 's,/[^/]*_test.go:func , ,' | grep -w "${FUZZ:-.*}" | sort)
[ ${#targets[@]} -gt 0 ] || { echo "no fuzz target is called $FUZZ" >&2; exit 1; }
each=$((seconds / ${#targets[@]}))
[ $each -gt 0 ] || each=1

for target in "${targets[@]}"; do
    read -r package name <<<"$target"
    printf '==> %s in %s, %ds\n' "$name" "$package" $each
    go test "./$package" -run '^$' -fuzz "^$name\$" -fuzztime "${each}s" -fuzzminimizetime 1s ${PARALLEL:+-parallel "$PARALLEL"}
done
