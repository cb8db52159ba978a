#!/usr/bin/env bash
# Runs every test and prints the results of all levels at the end.
#
# It builds everything first. Then two lanes run in parallel, because the e2e tests mostly
# wait for containers. The other lane takes what they leave of the processors: compilers
# and the integration tests' control planes use all that they get. A lane ends with its
# first failing level, and prints that level's name; the other lane still runs to its end.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

results=.garret/tests
rm -rf "$results"
mkdir -p "$results"

level() {
    local begin=$SECONDS status=0
    printf '==> %s\n' "$1"
    make --no-print-directory "$1" 2>&1 | sed -u "s/^/$1: /" || status=$?
    if [ $status -ne 0 ]; then
        printf '==> %s failed after %ds\n' "$1" $((SECONDS - begin))
        echo "$1" >>"$results/failed"
        return $status
    fi
    printf '==> %s took %ds\n' "$1" $((SECONDS - begin)) | tee -a "$results/levels"
}

lane() {
    local name
    for name in "$@"; do
        # Where a lane's status is looked at, the shell would go on after a failure.
        level "$name" || return
    done
}

lane deps build
lane e2e-own &
beside=$!
# The lane is not left behind when the other fails.
trap wait EXIT
status=0
(
    renice -n 10 $BASHPID >/dev/null
    lane verify vet unit integration
) || status=$?
wait "$beside" || status=$?

hack/slowest.sh "$results"
bin/gotestsum --format none --raw-command -- cat "$results"/*.json || status=$?
exit $status
