#!/usr/bin/env bash
# Checks that generated files match their sources, that documents name existing tests and
# avoid banned phrases, and the format and the go.mod files of all modules.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

failed=0
complain() {
    echo "$1" >&2
    failed=1
}

unformatted=$(gofmt -l apis artifacts cmd docs generated hack pkg syncer test)
[ -z "$unformatted" ] || complain "run gofmt -w on: $unformatted"

go run ./hack/docs apis cmd hack pkg syncer test || failed=1

for module in . cmd/controlplane test test/certmanager test/gatewayapi test/netpol test/snapshotter; do
    (cd "$module" && GOWORK=off go mod tidy -diff >/dev/null) || complain "run GOWORK=off go mod tidy in $module"
done

older=$(mktemp -d)
copy=$(mktemp -d)
trap 'rm -rf "$copy" "$older"' EXIT
hack/older.sh derive "$older" >"$older/log" 2>&1 || { cat "$older/log" >&2; exit 1; }
for file in $(cd "$older" && find . -name 'v*.mod' -o -name 'v*.sum'); do
    cmp -s "$file" "$older/$file" || complain "run hack/older.sh derive: $file is not what the go.mod of its module gives"
done

# The generators write into a copy, so that a check never changes the sources.
cp -r go.mod go.sum apis generated hack "$copy"
"$copy/hack/update-codegen.sh" >"$copy/log" 2>&1 || { cat "$copy/log" >&2; exit 1; }
for folder in apis generated hack; do
    diff -r "$folder" "$copy/$folder" >/dev/null || complain "run make generate: $folder differs from what its sources generate"
done

exit "$failed"
