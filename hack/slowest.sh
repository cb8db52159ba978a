#!/usr/bin/env bash
# Prints how long each level of the tests took and the ten packages whose tests
# took longest, from what hack/test.sh and hack/gotest.sh left in a folder.
set -euo pipefail
folder=$1

printf '\n==> levels\n'
cat "$folder/levels"
printf '==> the ten slowest packages\n'
# The event that ends a package names no test.
cat "$folder"/*.json | grep -v '"Test":' | grep -E '"Action":"(pass|fail)"' |
    sed -nE 's/.*"Package":"([^"]*)".*"Elapsed":([0-9.]+).*/\2 \1/p' |
    sort -rn | awk 'NR <= 10 {printf "%8.1fs  %s\n", $1, $2}'
printf '\n'
