#!/usr/bin/env bash
# Brings up everything: the host cluster, Garret in it, and a virtual cluster.
# It can be run again at any time and then does only what is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source hack/steps.sh

export KUBECONFIG=$PWD/.garret/kubeconfig
export PATH=$PWD/bin:$PATH

boot() {
    garret-host up --dir .garret/host --name up --bin bin --kubeconfig "$KUBECONFIG" --images bin/images
}

demo() {
    kubectl get virtualcluster demo --namespace default >/dev/null 2>&1 ||
        garret create vcluster demo --namespace default --connect=false
    kubectl wait --for=condition=Ready virtualcluster/demo --namespace default --timeout=180s
}

step "Debian packages" make --no-print-directory deps
step "build" make --no-print-directory build
step "images" make --no-print-directory images
step "host cluster" boot
step "install Garret" garret install
step "virtual cluster demo" demo

cat <<END

$(print_timings)

The host cluster runs, with Garret in it and a virtual cluster inside. Next:

    export KUBECONFIG=$KUBECONFIG PATH=$PWD/bin:\$PATH
    kubectl get virtualclusters -A
    garret use vcluster demo
    kubectl create deployment web --image=registry.k8s.io/e2e-test-images/agnhost:2.53 -- /agnhost netexec
    kubectl get pods
    kubectl exec deployment/web -- hostname

"make down" takes it all away again.
END
