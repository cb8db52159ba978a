#!/usr/bin/env bash
# Brings up everything: the host cluster, Garret in it, and a virtual cluster.
# It can be run again at any time and then does only what is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source hack/steps.sh

export KUBECONFIG=$PWD/.garret/kubeconfig
export PATH=$PWD/bin:$PATH

# The host needs no image of Garret's to come up.
boot() {
    garret-images build pause coredns busybox agnhost
    garret-host up --dir .garret/host --name up --bin bin --kubeconfig "$KUBECONFIG" --images bin/images
}

load() {
    make --no-print-directory images
    garret-host load --dir .garret/host bin/images
}

demo() {
    kubectl get virtualcluster demo --namespace default >/dev/null 2>&1 ||
        garret create demo --namespace default --connect=false
    kubectl wait --for=condition=Ready virtualcluster/demo --namespace default --timeout=180s
}

if [ ! -e bin/controlplane.db ]; then
    echo "The first run builds Kubernetes and everything else from source. That takes about twenty minutes on two cores."
fi
step "Debian packages" make --no-print-directory deps
step "build the host" make --no-print-directory kube third-party
beside "host cluster" boot
step "build Garret" make --no-print-directory garret controlplane
join "host cluster"
step "images" load
step "install Garret" garret install
step "virtual cluster demo" demo

cat <<END

$(print_timings)

The host cluster runs, with Garret in it and a virtual cluster inside. Next:

    export KUBECONFIG=$KUBECONFIG PATH=$PWD/bin:\$PATH
    kubectl get virtualclusters -A
    garret use demo
    kubectl create deployment web --image=registry.k8s.io/e2e-test-images/agnhost:2.53 -- /agnhost netexec
    kubectl get pods
    kubectl exec deployment/web -- hostname

"make down" takes it all away again.
END
