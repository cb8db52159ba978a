#!/usr/bin/env bash
# Runs every fuzz target of this module in turn, for FUZZTIME seconds (or 30m,
# 1h …) in total. FUZZ=NAME runs only that one. It writes what it finds to
# testdata/fuzz beside the test: commit it, and it is a test from then on.
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

log=$(mktemp)
trap 'rm -f "$log"' EXIT
run() {
    go test "./$1" -run '^$' -fuzz "^$2\$" -fuzztime "${each}s" -fuzzminimizetime 1s ${PARALLEL:+-parallel "$PARALLEL"} 2>&1 | tee "$log"
}

for target in "${targets[@]}"; do
    read -r package name <<<"$target"
    printf '==> %s in %s, %ds\n' "$name" "$package" $each
    # The fuzzer may take the end of its time for a failure (golang.org/issue/75804).
    # A real one writes down its input.
    run "$package" "$name" || {
        grep -q 'context deadline exceeded' "$log" && ! grep -q 'Failing input written' "$log" || exit 1
        echo "==> again, because only its time ended"
        run "$package" "$name"
    }
done
