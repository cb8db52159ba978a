#!/usr/bin/env bash
# Deletes what hack/up.sh created. Only logs stay, below .garret/host.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ ! -d .garret/host ]; then
    echo "nothing is up"
    exit 0
fi
bin/garret-host down --dir .garret/host
rm -f .garret/kubeconfig
