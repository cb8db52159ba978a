#!/usr/bin/env bash
# Runs every test there is, the quick ones first, names the level that fails,
# and ends with what all levels together came to.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

level() {
    local begin=$SECONDS
    printf '==> %s\n' "$1"
    make --no-print-directory "$1"
    printf '==> %s took %ds\n' "$1" $((SECONDS - begin))
}

rm -rf .garret/tests
for name in deps verify unit fuzz build integration e2e; do
    level "$name"
done
exec bin/gotestsum --format none --raw-command -- cat .garret/tests/*.json
