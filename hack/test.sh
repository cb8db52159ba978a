#!/usr/bin/env bash
# Runs every test there is, the quick ones first, and names the level that fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

level() {
    local begin=$SECONDS
    printf '==> %s\n' "$1"
    make --no-print-directory "$1"
    printf '==> %s took %ds\n' "$1" $((SECONDS - begin))
}

for name in deps verify unit build integration e2e; do
    level "$name"
done
