#!/usr/bin/env bash
# Generates everything from the types below apis/: helpers beside the types, and clients
# and OpenAPI definitions below generated/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GOWORK=off GOFLAGS="-mod=mod -trimpath"

go mod download k8s.io/code-generator
source "$(go list -m -f '{{.Dir}}' k8s.io/code-generator)/kube_codegen.sh"

boilerplate=hack/boilerplate.go.txt
module=garret.dev/garret

# validation-gen of 1.37 looks for a function of metav1.Condition in the wrong
# package (kubernetes/kubernetes#141765). Without metav1 in its list, it accepts
# that types of metav1 are marked as opaque: they are validated by hand.
readonly=("${KUBE_CODEGEN_READONLY_PKGS[@]}")
KUBE_CODEGEN_READONLY_PKGS=()
for pkg in "${readonly[@]}"; do
    [ "$pkg" = k8s.io/apimachinery/pkg/apis/meta/v1 ] || KUBE_CODEGEN_READONLY_PKGS+=("$pkg")
done
kube::codegen::gen_helpers --boilerplate "$boilerplate" apis
KUBE_CODEGEN_READONLY_PKGS=("${readonly[@]}")

kube::codegen::gen_openapi \
    --output-dir generated/openapi --output-pkg "$module/generated/openapi" \
    --output-model-name-file zz_generated.model_name.go \
    --extra-pkgs k8s.io/api/core/v1 \
    --report-filename hack/api-violations.list --update-report \
    --boilerplate "$boilerplate" apis

# The schemas let the fake clientset apply as the server does.
models=$(mktemp)
trap 'rm -f "$models"' EXIT
go run ./hack/models >"$models"

kube::codegen::gen_client \
    --with-watch --with-applyconfig --applyconfig-openapi-schema "$models" \
    --output-dir generated --output-pkg "$module/generated" \
    --boilerplate "$boilerplate" apis
