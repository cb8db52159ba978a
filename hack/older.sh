#!/usr/bin/env bash
# Older minors of Kubernetes, from the one source:
#
#     hack/older.sh derive [DIRECTORY]
#     hack/older.sh build
#     hack/older.sh test ARGUMENTS-OF-GO-TEST...
#
# derive writes the go.mod files for building the control plane of each minor, and the
# tests' host of the newest one. Each is the module's own go.mod with the Kubernetes
# modules of that release. It goes to the module's folder "versions", or below
# DIRECTORY, where hack/verify.sh compares it.
#
# build builds each control plane and its seed into bin/MINOR, and the host of the
# tests beside the newest, with links to what is the same for all. Images of the
# control planes go to bin/images/older. test runs the control plane's own tests by
# each of the files.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
export GOWORK=off

# These stand in SupportedVersions of apis/tenancy/v1, too; a test compares them.
releases="v1.36.3 v1.35.4"
host=${releases%% *}
# Kubernetes of before 1.37 does not compile with what 1.37 needs of these.
pinned="github.com/container-storage-interface/spec github.com/opencontainers/cgroups"

# required FILE MODULE prints the version of a module that a go.mod file requires.
required() { awk -v module="$2" '$1 == module && $2 != "=>" { print $2; exit }' "$1"; }

# staged FILE prints the modules on k8s.io that a go.mod file replaces.
staged() { awk '$1 ~ /^k8s\.io\// && $2 == "=>" { print $1 }' "$1" | sort; }

# derive_one MODULE RELEASE DIRECTORY writes one of the files.
derive_one() {
    local release=$2 file upstream edits=() module
    mkdir -p "$3/$1/versions"
    file=$(realpath "$3")/$1/versions/${release%.*}.mod
    cd "$root/$1"
    upstream=$(go mod download -json "k8s.io/kubernetes@$release" | sed -n 's/^\t"GoMod": "\(.*\)",$/\1/p')
    cp go.mod "$file"
    cp go.sum "${file%.mod}.sum"
    edits+=("-require=k8s.io/kubernetes@$release")
    for module in $(comm -23 <(staged go.mod) <(staged "$upstream")); do
        edits+=("-droprequire=$module" "-dropreplace=$module")
    done
    for module in $(staged "$upstream"); do
        edits+=("-replace=$module=$module@v0.${release#v1.}")
    done
    for module in $pinned; do
        edits+=("-replace=$module=$module@$(required "$upstream" "$module")")
    done
    # The newest kubectl is built in the workspace, which holds its dependencies. This one has none.
    [ "$1" != test ] || edits+=("-tool=k8s.io/kubernetes/cmd/kubectl")
    go mod edit "${edits[@]}" "$file"
    # tidy reads files for all tags. Those for newer minors alone import what this one lacks.
    go mod tidy -e -modfile="$file"
    # It goes on after errors. So see that what build compiles is there.
    [ "$1" != test ] || go list -modfile="$file" -deps ./host/cmd/kube k8s.io/kubernetes/cmd/kubectl >/dev/null
    cd "$root"
}

derive() {
    local release
    for release in $releases; do
        derive_one cmd/controlplane "$release" "$1"
    done
    derive_one test "$host" "$1"
}

# flags FILE prints the arguments of go build for a derived file, one a line: the
# file, a tag before_1_N for each later minor, and the version to report.
flags() {
    local release minor newest tags="" n version=k8s.io/component-base/version
    release=$(required "$1" k8s.io/kubernetes)
    newest=$(required "${1%/versions/*}/go.mod" k8s.io/kubernetes | cut -d. -f2)
    minor=$(cut -d. -f2 <<<"$release")
    for ((n = newest; n > minor; n--)); do tags+=${tags:+,}before_1_$n; done
    printf '%s\n' "-modfile=versions/${1##*/}" "-tags=$tags" \
        "-ldflags=-s -w -X $version.gitVersion=$release -X $version.gitMajor=1 -X $version.gitMinor=$minor"
}

build() {
    local file minor arguments folder=$root/bin/${host%.*} program
    for file in cmd/controlplane/versions/*.mod test/versions/*.mod; do
        minor=$(basename "$file" .mod)
        mapfile -t arguments < <(flags "$file")
        case $file in
            test/*) FOLDER=test OUT=bin/$minor hack/build.sh "host of $minor" "${arguments[@]}" ./host/cmd/kube k8s.io/kubernetes/cmd/kubectl ;;
            *)
                FOLDER=cmd/controlplane OUT=bin/$minor hack/build.sh "control plane of $minor" "${arguments[@]}" .
                seed "bin/$minor"
                ;;
        esac
    done
    for program in containerd containerd-shim-runc-v2 ctr metrics-server; do
        ln -sf "../$program" "$folder/$program"
    done
    bin/garret-images build --older="${releases// /,}" --bin bin --out bin/images/older
}

# seed FOLDER makes the database that the control plane there starts from.
seed() {
    [ ! "$1/controlplane.db" -nt "$1/controlplane" ] || return 0
    "$1/controlplane" seed --output "$1/controlplane.db" 2>"$1/controlplane.log" || { cat "$1/controlplane.log"; exit 1; }
}

run_tests() {
    local file arguments
    cd cmd/controlplane
    for file in versions/*.mod; do
        echo "==> control plane of $(basename "$file" .mod)"
        mapfile -t arguments < <(flags "./$file")
        go test "${arguments[@]}" "$@"
    done
}

case ${1:-} in
    derive) derive "${2:-.}" ;;
    build) build ;;
    test) run_tests "${@:2}" ;;
    *)
        sed -n '2,/^set/{/^#/p}' "$0"
        exit 2
        ;;
esac
