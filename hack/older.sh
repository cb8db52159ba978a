#!/usr/bin/env bash
# Derives the go.mod files by which the control plane is built for older minors:
#
#     hack/older.sh [DIRECTORY]
#
# Each is cmd/controlplane/go.mod with the Kubernetes modules of that release. It
# lies in cmd/controlplane/versions, or in DIRECTORY, where hack/verify.sh
# compares it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../cmd/controlplane"

# These stand in SupportedVersions of apis/tenancy/v1, too; a test compares them.
releases="v1.36.3 v1.35.4"
# Kubernetes of before 1.37 does not compile with what 1.37 needs of these.
pinned="github.com/container-storage-interface/spec github.com/opencontainers/cgroups"

out=$(realpath "${1:-versions}")
export GOWORK=off

# versions FILE prints the modules that a go.mod file requires, with their versions.
versions() { go mod edit -json "$1" | jq -r '.Require[] | "\(.Path) \(.Version)"'; }

# staged FILE prints the modules that a go.mod file replaces, of those on k8s.io.
staged() { go mod edit -json "$1" | jq -r '.Replace[].Old.Path | select(startswith("k8s.io/"))' | sort; }

derive() {
    local release=$1 file=$out/${1%.*}.mod upstream edits=()
    upstream=$(go mod download -json "k8s.io/kubernetes@$release" | jq -r .GoMod)
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
        edits+=("-replace=$module=$module@$(versions "$upstream" | awk -v m="$module" '$1 == m {print $2}')")
    done
    go mod edit "${edits[@]}" "$file"
    go mod tidy -modfile="$file"
}

for release in $releases; do
    derive "$release"
done
