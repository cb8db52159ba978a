#!/usr/bin/env bash
# Runs Kubernetes' own conformance suite on a bare test host of two nodes, and then
# in a virtual cluster on it, which sets only isolation.podSecurity: privileged. It does
# not repeat specs that have passed, so that you can run it in parts. It keeps everything
# below .garret/conformance or, with BEYOND, .garret/conformance-beyond. Environment variables:
#
#     SIDES="host inside"  which of the two to run, in this order
#     PROCESSES=8          how many specs run in parallel
#     PART=120             how many specs make a part, whose results are lost if the suite crashes
#     LIMIT=110m           how long one side may take
#     ONLY=REGEXP          specs to run instead of the whole suite
#     SHORT=1              only the specs of test/conformance/selection.txt, inside, from the start
#     BEYOND=1             the specs of test/conformance/beyond/areas.yaml instead of the suite; the
#                          host runs those that did not pass inside
#     KEEP=1               leave the host up
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source hack/steps.sh
source hack/sides.sh

state=.garret/conformance
if [ -n "${SHORT:-}" ]; then
    state=.garret/conformance-short
    SIDES=inside
    rm -rf $state/inside
fi
order=(host inside)
settings=test/conformance/virtualcluster.yaml
beyond=test/conformance/beyond
storage=--argument=-storage.testdriver=$PWD/$beyond/driver.yaml
if [ -n "${BEYOND:-}" ]; then
    state=.garret/conformance-beyond
    order=(inside host)
    settings=$beyond/virtualcluster.yaml
fi
host=$state/c
bin=$PWD/bin
export KUBECONFIG=$PWD/$state/host.kubeconfig
export PATH=$bin:$PATH
version=$(sed -n 's/^VERSION *:= *//p' Makefile)
kubernetes=$(sed -n 's/^KUBERNETES_VERSION *:= *//p' Makefile)
source_dir=$(cd test && go list -m -f '{{.Dir}}' k8s.io/kubernetes)
space=conformance

# e2e.test is built among our own modules, whose packages are in the build cache, and
# without vet, which would look at all of them.
suite() {
    local version=k8s.io/component-base/version minor=${kubernetes#*.}
    hack/build.sh conformance -ldflags "-s -w" ./test/conformance/cmd/garret-conformance ./test/images/cmd/garret-images \
        k8s.io/kubernetes/test/images/nonewprivs k8s.io/kubernetes/test/images/regression-issue-74839 \
        k8s.io/kubernetes/test/images/resource-consumer k8s.io/kubernetes/test/images/resource-consumer/consume-cpu \
        k8s.io/sample-apiserver go.etcd.io/etcd/server/v3 github.com/onsi/ginkgo/v2/ginkgo &&
        mkdir -p "$bin/conformance" && (cd test && go test -c -vet=off -o "$bin/conformance/e2e.test" k8s.io/kubernetes/test/e2e \
        -ldflags "-s -w -X $version.gitVersion=$kubernetes -X $version.gitMajor=1 -X $version.gitMinor=${minor%%.*}")
}

images() {
    hack/packages.sh bind9-dnsutils curl netcat-openbsd nginx-light && hack/busybox.sh && garret-images build &&
        garret-images conformance --out "$bin/conformance" --source "$source_dir"
}

# Some pods insist on pulling what the node has already, so a registry of this
# machine stands for all others.
registry() {
    local address node
    address=$(garret-host address --dir "$host"):5000
    garret-images conformance --serve "$address" --source "$source_dir" >"$state/registry.log" 2>&1 &
    registry=$!
    for node in "$host"/node*/; do
        mkdir -p "$node/registries/_default"
        printf 'server = "http://%s"\n[host."http://%s"]\n  capabilities = ["pull", "resolve"]\n' "$address" "$address" \
            >"$node/registries/_default/hosts.toml"
    done
}

boot() {
    garret-host up --dir "$host" --name conformance --nodes 2 --bin bin --kubeconfig "$KUBECONFIG" \
        --images "$bin/images/*.tar" --images "$bin/conformance/conformance.tar" ${BEYOND:+--network-policies}
}

established() {
    sleep 1
    kubectl wait --for=condition=Established --timeout=20s crd/volumesnapshots.snapshot.storage.k8s.io \
        crd/volumesnapshotclasses.snapshot.storage.k8s.io crd/volumesnapshotcontents.snapshot.storage.k8s.io
}

# The snapshot controllers and the CSI driver serve the first node.
driver() {
    local nodes node
    kubectl apply -f "$bin/snapshot-crds.yaml" || return
    # kubectl wait fails on a definition that has no status yet.
    established || established || established || return
    kubectl apply -f $beyond/host.yaml || return
    nodes=("$host"/node*/)
    node=$(basename "${nodes[0]}")
    snapshotter --kubeconfig "$KUBECONFIG" --dir "$PWD/$state/volumes" --node "conformance-$node" \
        --kubelet-dir "$PWD/$host/$node/kubelet" >"$state/snapshotter.log" 2>&1 &
    driver=$!
}

# What the administrator of the host allows beyond the default: storage classes of tenants, and node ports.
allowances() {
    local nodes
    nodes=$(kubectl get nodes -o jsonpath='{range .items[*]}"{.status.addresses[?(@.type=="InternalIP")].address}/32",{end}') || return
    kubectl patch hostcluster local --type merge --patch-file $beyond/hostcluster.yaml &&
        kubectl patch hostcluster local --type merge --patch "{\"spec\":{\"isolation\":{\"egressRanges\":[${nodes%,}]}}}"
}

# The namespace takes privileged pods: the level of the virtual cluster is one of two
# that pods must pass, and that of the host namespace is the other.
virtual_cluster() {
    garret install || return
    [ -z "${BEYOND:-}" ] || allowances || return
    kubectl get namespace $space || kubectl create namespace $space || return
    kubectl label namespace $space pod-security.kubernetes.io/enforce=privileged --overwrite || return
    kubectl get virtualcluster conformance --namespace $space >/dev/null 2>&1 ||
        garret create conformance --namespace $space --connect=false -f $settings || return
    kubectl wait --for=condition=Ready virtualcluster/conformance --namespace $space --timeout=180s || return
    garret kubeconfig conformance --namespace $space --expiration 24h >$state/inside.kubeconfig || return
    # A node inside is there while a pod is: two pods keep both.
    kubectl --kubeconfig $state/inside.kubeconfig apply -f test/conformance/nodes.yaml &&
        kubectl --kubeconfig $state/inside.kubeconfig rollout status deployment/nodes --timeout=120s
}

run() {
    local more=()
    if [ -n "${BEYOND:-}" ]; then
        # Some specs skip themselves unless the suite knows of two nodes.
        more=(--areas $beyond/areas.yaml "$storage" --argument=--num-nodes=2)
        [ "$1" = inside ] || more+=(--after $state/inside)
    fi
    garret-conformance run --dir "$state/$1" --kubeconfig "$2" --processes "${PROCESSES:-8}" --part "${PART:-120}" "${more[@]}" \
        --limit "${LIMIT:-110m}" --only "${ONLY:-}" --specs "${SHORT:+test/conformance/selection.txt}" || failed=1
}

clean_up() {
    [ -z "${registry:-}" ] || kill "$registry" 2>/dev/null || true
    [ -z "${driver:-}" ] || kill "$driver" 2>/dev/null || true
    [ -n "${KEEP:-}" ] || garret-host down --dir "$host"
}

mkdir -p $state
failed=0
step "build the suite" suite
step "images" images
trap clean_up EXIT
step "host cluster" boot
registry
[ -z "${BEYOND:-}" ] || driver
sides "${order[@]}"
if [ -n "${BEYOND:-}" ]; then
    garret-conformance beyond --dir $state "$storage"
elif [ -z "${SHORT:-}" ]; then
    garret-conformance report --dir $state --version "$version" --kubernetes-version "$kubernetes"
fi
exit $failed
