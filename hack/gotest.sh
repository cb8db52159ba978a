#!/usr/bin/env bash
# Runs go test with the given arguments, a line for each package and the output
# of what fails, and keeps the events for whoever counts them afterwards.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

events=$root/.garret/tests
mkdir -p "$events"
exec "$root/bin/gotestsum" --format pkgname --jsonfile "$(mktemp "$events/XXXXXX.json")" -- "$@"
