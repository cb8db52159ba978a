#!/usr/bin/env bash
# Runs the Gateway API's own conformance suite with Traefik on a bare test host, and then in a
# virtual cluster on it, which has the kinds of the Gateway API switched on. It keeps everything
# below .garret/conformance-gateway: the logs in the folders host and inside, of which a later one
# holds for the tests that it ran. Environment variables:
#
#     SIDES="host inside"  which of the two to run, in this order
#     ONLY=REGEXP          names of tests to run instead of all
#     KEEP=1               leave the host up; a later run uses it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source hack/steps.sh
source hack/sides.sh

state=.garret/conformance-gateway
host=$state/c
files=test/conformance/gateway
bin=$PWD/bin
export KUBECONFIG=$PWD/$state/host.kubeconfig
export PATH=$bin:$PATH
space=gateway

images() { garret-images build && garret-images build traefik echo-basic echo-dns --out "$bin/images/gateway"; }

boot() {
    garret-host up --dir "$host" --name gateway --bin bin --kubeconfig "$KUBECONFIG" \
        --images "$bin/images/*.tar" --images "$bin/images/gateway/*.tar"
}

# The controller begins with the kinds, so that they are served before it.
controller() {
    kubectl apply --server-side -f "$bin/gateway-api-experimental-crds.yaml" || return
    # kubectl wait fails on a definition that has no status yet.
    established || established || established || return
    kubectl apply -f $files/host.yaml &&
        kubectl rollout status --namespace ingress-system deployment/traefik --timeout=120s &&
        kubectl wait --for=condition=Accepted gatewayclass/traefik --timeout=60s
}

established() {
    sleep 1
    kubectl wait --for=condition=Established --timeout=20s -f "$bin/gateway-api-experimental-crds.yaml"
}

virtual_cluster() {
    garret install || return
    kubectl get namespace $space || kubectl create namespace $space || return
    kubectl get virtualcluster gateway --namespace $space >/dev/null 2>&1 ||
        garret create gateway --namespace $space --connect=false -f $files/virtualcluster.yaml || return
    kubectl wait --for=condition=Ready virtualcluster/gateway --namespace $space --timeout=180s || return
    garret kubeconfig gateway --namespace $space --expiration 24h >$state/inside.kubeconfig || return
    for _ in $(seq 60); do
        ! kubectl --kubeconfig $state/inside.kubeconfig wait --for=condition=Accepted gatewayclass/traefik --timeout=60s || return 0
        sleep 1
    done
    return 1
}

# What the controller supports, it says in its GatewayClass, and the suite tests that. In this form the log
# has each test as soon as it ends.
run() {
    local side=$1 kubeconfig=$2 log
    mkdir -p "$state/$side"
    log=$(printf '%s/%s/%02d.log' $state "$side" $(($(find "$state/$side" -name '*.log' | wc -l) + 1)))
    printf '==> the suite, %s: %s\n' "$side" "$log"
    KUBECONFIG=$kubeconfig gateway-api.test -test.v=test2json -test.timeout 90m -test.run "^TestConformance\$/${ONLY:-}" \
        -gateway-class traefik -conformance-profiles GATEWAY-HTTP,GATEWAY-GRPC,GATEWAY-TLS >"$log" 2>&1 || failed=1
    grep -aoE -e '--- FAIL: TestConformance/[^/ ]+ .*' "$log" || true
}

clean_up() { [ -n "${KEEP:-}" ] || garret-host down --dir "$host"; }

mkdir -p $state
failed=0
step "images of the Gateway API suite" images
trap clean_up EXIT
step "host cluster" boot
step "gateway controller" controller
sides host inside
# The page compares both sides.
[ ! -d $state/host ] || [ ! -d $state/inside ] || garret-conformance gateway --dir $state
exit $failed
