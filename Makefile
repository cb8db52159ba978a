# Copyright The Garret Authors.
# SPDX-License-Identifier: Apache-2.0

# Garret's version, and the Kubernetes that hosts and virtual clusters run here.
VERSION                := v0.1.0
KUBERNETES_VERSION     := v1.37.2
CONTAINERD_VERSION     := v2.4.2
COREDNS_VERSION        := v1.15.0
METRICS_SERVER_VERSION := v0.9.0
TRAEFIK_VERSION        := v3.6.12
# That which Traefik is made for.
GATEWAY_API_VERSION    := v1.4.0
GOTESTSUM_VERSION      := v1.13.0

# Every binary is static, so that an image needs nothing else. One setting for builds
# and tests lets them share the build cache; without paths, checkouts share it, too.
export CGO_ENABLED := 0
export GOFLAGS     := -buildvcs=false -trimpath
GO      := go
BIN     := $(CURDIR)/bin

component_base := k8s.io/component-base/version
garret_ldflags := -s -w -X $(component_base).gitVersion=$(VERSION) -X $(component_base).gitMajor=0 -X $(component_base).gitMinor=1
kube_ldflags   := -s -w -X $(component_base).gitVersion=$(KUBERNETES_VERSION) -X $(component_base).gitMajor=1 -X $(component_base).gitMinor=37

.DEFAULT_GOAL := help

##@ Everyday

.PHONY: up
up: ## Create a host cluster, install Garret and create the virtual cluster "demo"
	@hack/up.sh

.PHONY: down
down: ## Delete the host cluster of "make up" and everything it left
	@hack/down.sh

.PHONY: test
test: ## Run every test: unit, integration, and e2e on a host of their own
	@hack/test.sh

.PHONY: help
help: ## Show this text
	@awk 'BEGIN {FS = ":.*## "} /^##@ /{printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## /{printf "  %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Building

.PHONY: deps
deps: ## Install the Debian packages that building and running need
	@hack/packages.sh

.PHONY: build
build: kube third-party controlplane garret ## Build every binary into bin/

.PHONY: garret
garret: ## Build Garret's own binaries
	@hack/build.sh garret -ldflags "$(garret_ldflags)" ./cmd/garret ./cmd/garret-apiserver ./cmd/garret-controller ./cmd/garret-syncer
	@ln -sf garret $(BIN)/kubectl-garret

.PHONY: controlplane
controlplane: ## Build the control plane and the database that it starts from
	@hack/build.sh "control plane" -ldflags "$(kube_ldflags)" ./cmd/controlplane
	@[ $(BIN)/controlplane.db -nt $(BIN)/controlplane ] || $(BIN)/controlplane seed --output $(BIN)/controlplane.db 2>$(BIN)/controlplane.log || \
	    { cat $(BIN)/controlplane.log; exit 1; }

.PHONY: kube
kube: ## Build the parts of the test host
	@[ ! -L $(BIN)/kubectl ] || rm $(BIN)/kubectl # go would write through the link of an earlier build
	@hack/build.sh host -ldflags "$(garret_ldflags)" -ldflags "garret.dev/garret/test/host/cmd/kube=$(kube_ldflags)" \
	    -ldflags "k8s.io/kubernetes/cmd/kubectl=$(kube_ldflags)" ./test/host/cmd/kube k8s.io/kubernetes/cmd/kubectl \
	    ./test/host/cmd/garret-host ./test/images/cmd/garret-images ./test/images/cmd/pause k8s.io/kubernetes/test/images/agnhost

# These are programs of other projects, built at a fixed version by their own
# go.mod; the version in the stamp's name makes a change of it build anew.
containerd_stamp := $(BIN)/.containerd-$(CONTAINERD_VERSION)
coredns_stamp    := $(BIN)/.coredns-$(COREDNS_VERSION)
metrics_stamp    := $(BIN)/.metrics-server-$(METRICS_SERVER_VERSION)
traefik_stamp    := $(BIN)/.traefik-$(TRAEFIK_VERSION)
gateway_api_stamp := $(BIN)/.gateway-api-$(GATEWAY_API_VERSION)
gotestsum_stamp  := $(BIN)/.gotestsum-$(GOTESTSUM_VERSION)

# cert-manager and pebble have a go.mod of ours, whose versions are those of
# everything else as far as can be: what both stand on is compiled once.
certmanager         := test/certmanager
certmanager_sources := $(addprefix $(certmanager)/,main.go go.mod go.sum)
certmanager_crds    := $(BIN)/cert-manager-crds.yaml
certmanager_stamp   := $(BIN)/.certmanager

# external-snapshotter's controllers have one as well.
snapshotter         := test/snapshotter
snapshotter_sources := $(addprefix $(snapshotter)/,main.go driver.go node.go go.mod go.sum)
snapshotter_crds    := $(BIN)/snapshot-crds.yaml
snapshotter_stamp   := $(BIN)/.snapshotter

# What enforces NetworkPolicies on a test host has one as well.
netpol              := test/netpol
netpol_sources      := $(addprefix $(netpol)/,main.go go.mod go.sum)
netpol_stamp        := $(BIN)/.netpol

# The Gateway API's own conformance suite has one as well. Its tests want the experimental channel.
gatewaysuite         := test/gatewayapi
gatewaysuite_sources := $(addprefix $(gatewaysuite)/,suite_test.go go.mod go.sum)
gatewaysuite_crds    := $(BIN)/gateway-api-experimental-crds.yaml
gatewaysuite_stamp   := $(BIN)/.gatewayapi

.PHONY: third-party
third-party: $(containerd_stamp) $(coredns_stamp) $(metrics_stamp)

$(containerd_stamp):
	@MODULE=github.com/containerd/containerd/v2@$(CONTAINERD_VERSION) hack/build.sh containerd \
	    -tags "no_btrfs no_zfs no_devmapper" -ldflags "-s -w" ./cmd/containerd ./cmd/containerd-shim-runc-v2 ./cmd/ctr
	@touch $@

$(coredns_stamp):
	@MODULE=github.com/coredns/coredns@$(COREDNS_VERSION) hack/build.sh CoreDNS -ldflags "-s -w" .
	@touch $@

$(metrics_stamp):
	@MODULE=sigs.k8s.io/metrics-server@$(METRICS_SERVER_VERSION) hack/build.sh metrics-server -ldflags "-s -w" ./cmd/metrics-server
	@touch $@

# A third of Traefik's packages are clients of DNS services, which are left out.
$(traefik_stamp): hack/traefik.sh
	@MODULE=github.com/traefik/traefik/v3@$(TRAEFIK_VERSION) PREPARE=hack/traefik.sh hack/build.sh Traefik -ldflags "-s -w" ./cmd/traefik
	@touch $@

$(certmanager_stamp): $(certmanager_sources)
	@FOLDER=$(certmanager) hack/build.sh cert-manager -ldflags "-s -w" . github.com/letsencrypt/pebble/v2/cmd/pebble
	@cd $(certmanager) && cat "$$(GOWORK=off $(GO) list -m -f '{{.Dir}}' github.com/cert-manager/cert-manager)"/deploy/crds/*.yaml >$(certmanager_crds)
	@touch $@

# Kinds that the standard channel of the Gateway API lacks are those of the experimental one.
$(gateway_api_stamp):
	@mkdir -p $(BIN)
	@cd "$$($(GO) mod download -json sigs.k8s.io/gateway-api@$(GATEWAY_API_VERSION) | sed -n 's/^\t"Dir": "\(.*\)",$$/\1/p')/config/crd" && \
	    sed -s '1i---' standard/*.yaml experimental/*_tcproutes.yaml experimental/*_tlsroutes.yaml experimental/*_udproutes.yaml >$(BIN)/gateway-api-crds.yaml
	@touch $@

$(snapshotter_stamp): $(snapshotter_sources)
	@FOLDER=$(snapshotter) hack/build.sh external-snapshotter -ldflags "-s -w" .
	@cd $(snapshotter) && cat "$$(GOWORK=off $(GO) list -m -f '{{.Dir}}' github.com/kubernetes-csi/external-snapshotter/client/v8)"/config/crd/snapshot.*.yaml >$(snapshotter_crds)
	@touch $@

$(netpol_stamp): $(netpol_sources)
	@FOLDER=$(netpol) hack/build.sh kube-network-policies -ldflags "-s -w" .
	@touch $@

$(gatewaysuite_stamp): $(gatewaysuite_sources)
	@FOLDER=$(gatewaysuite) hack/build.sh "what the Gateway API's suite routes to" -ldflags "-s -w" sigs.k8s.io/gateway-api/conformance/echo-basic
	@cd $(gatewaysuite) && GOWORK=off $(GO) test -c -vet=off -ldflags "-s -w" -o $(BIN)/gateway-api.test .
	@cd $(gatewaysuite) && cd "$$(GOWORK=off $(GO) list -m -f '{{.Dir}}' sigs.k8s.io/gateway-api)/config/crd/experimental" && \
	    sed -s '1i---' gateway.networking.k8s.io_*.yaml >$(gatewaysuite_crds)
	@touch $@

.PHONY: netpol
netpol: $(netpol_stamp) ## Build what enforces NetworkPolicies on a test host

$(gotestsum_stamp):
	@MODULE=gotest.tools/gotestsum@$(GOTESTSUM_VERSION) hack/build.sh gotestsum -ldflags "-s -w" .
	@touch $@

.PHONY: images
images: build ## Build the container images into bin/images
	$(BIN)/garret-images build --bin $(BIN) --out $(BIN)/images

# The ingress controller, what issues certificates for it, and what takes snapshots; only
# the tests with a whole host want them.
.PHONY: addons
addons: kube $(traefik_stamp) $(certmanager_stamp) $(gateway_api_stamp) $(snapshotter_stamp)
	$(BIN)/garret-images build --addons --bin $(BIN) --out $(BIN)/images/addons

# What krew installs as kubectl garret. RELEASE_URL is where the archives will be.
KREW_PLATFORMS ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64
RELEASE_URL    ?= https://garret.dev/releases/$(VERSION)

.PHONY: krew
krew: ## Build the command line for KREW_PLATFORMS, pack archives, and write krew's manifest into bin/krew
	@mkdir -p $(BIN)/krew
	@for platform in $(KREW_PLATFORMS); do \
	    GOOS=$${platform%/*} GOARCH=$${platform#*/} $(GO) build -ldflags "$(garret_ldflags)" -o "$(BIN)/krew/garret-$$(echo $$platform | tr / -)" ./cmd/garret || exit 1; \
	done
	$(GO) run ./hack/krew --version $(VERSION) --url $(RELEASE_URL) --out $(BIN)/krew \
	    $(foreach platform,$(KREW_PLATFORMS),$(platform)=$(BIN)/krew/garret-$(subst /,-,$(platform)))

.PHONY: older
older: kube third-party ## Build the control planes of older minors, their images, and a host one minor older
	@hack/older.sh build

##@ Testing

# Each run leaves its events below .garret/tests, from which make test counts.
GOTEST  := hack/gotest.sh
MODULES := ./... ./cmd/controlplane/... ./test/...
LEVELS  := integration e2e bench versions
RACE    := ./pkg/relay/... ./pkg/apiserver/certs/... ./syncer/engine/... ./syncer/tokens/...

.PHONY: vet
vet: ## Vet all modules, and the tests of every level
	$(GO) vet -tags "$(LEVELS)" $(MODULES)
	cd $(certmanager) && GOWORK=off $(GO) vet ./...
	cd $(snapshotter) && GOWORK=off $(GO) vet ./...
	cd $(netpol) && GOWORK=off $(GO) vet ./...
	cd $(gatewaysuite) && GOWORK=off $(GO) vet ./...

# The levels are vetted once, by make vet: go test would compute what vet wants to
# know of some thousand packages again for each of them.
.PHONY: unit
unit: $(gotestsum_stamp) ## Run the unit tests of all modules
	$(GOTEST) -vet=off -timeout 20m ./... ./cmd/controlplane/... ./test/host/... ./test/images/... ./test/conformance/...

.PHONY: race
race: ## Run the unit tests of concurrent code with the race detector
	hack/packages.sh gcc libc6-dev
	CGO_ENABLED=1 $(GO) test -vet=off -race -timeout 20m $(RACE)

.PHONY: fuzz
fuzz: ## Run the fuzz targets for FUZZTIME in total (60s), or the one that FUZZ names
	@FUZZTIME=$(or $(FUZZTIME),60s) FUZZ=$(FUZZ) hack/fuzz.sh

# The longest packages start first, so that none of them runs alone at the end.
.PHONY: integration
integration: build $(gotestsum_stamp) ## Run the tests against real API servers without nodes
	$(GOTEST) -vet=off -tags integration -count=1 -timeout 20m -p 3 \
	    $(addprefix ./test/integration/,recovery syncer storage release serving rights ...)

.PHONY: e2e
e2e: e2e-own conformance-short ## Run the tests on a whole host cluster with containers, and some specs of Kubernetes

.PHONY: e2e-own
e2e-own: images addons $(gotestsum_stamp) ## Run Garret's own tests on a whole host cluster with containers
	$(GOTEST) -vet=off -tags e2e -count=1 -timeout 40m -p 3 -parallel 6 ./test/host ./test/e2e/...

.PHONY: versions
versions: images older ## Run the tests of older minors: inside, upgraded, and as the host
	hack/older.sh test -vet=off -timeout 20m ./...
	cd test && $(GO) test -vet=off -tags versions -count=1 -timeout 20m ./versions/...

.PHONY: bench
bench: images ## Measure start-up, memory and the relay against their yardsticks
	cd test && $(GO) test -vet=off -tags bench -count=1 -timeout 30m -run '^$$' -bench . -benchtime 1x ./bench/...

.PHONY: conformance
conformance: build ## Run the specs of Kubernetes' conformance suite that have not passed, on a bare host and in a virtual cluster
	@hack/conformance.sh

.PHONY: conformance-beyond
conformance-beyond: build $(netpol_stamp) $(snapshotter_stamp) ## Run specs outside that suite, for the features of a virtual cluster
	@BEYOND=1 hack/conformance.sh

.PHONY: conformance-gateway
conformance-gateway: build $(gatewaysuite_stamp) $(traefik_stamp) ## Run the Gateway API's own suite with Traefik, on a bare host and in a virtual cluster
	@hack/build.sh results ./test/conformance/cmd/garret-conformance
	@hack/gateway.sh

.PHONY: conformance-short
conformance-short: build ## Run about forty specs of that suite in a virtual cluster, in a few minutes
	@SHORT=1 hack/conformance.sh

##@ Sources

.PHONY: generate
generate: ## Generate files again from the API types, the chart and the commands
	hack/update-codegen.sh
	$(GO) run ./artifacts/render
	$(GO) run ./hack/reference docs/cli.md

.PHONY: man
man: ## Write a manual page for each command into bin/man
	$(GO) run ./hack/reference --man $(BIN)/man

.PHONY: verify
verify: ## Check that generated files are current, and the format of the code
	hack/verify.sh
