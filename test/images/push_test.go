// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"io"
	"log"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func TestPush(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	image, bin := sample(t)
	want := []string{address.Host + "/mirror/sample:v1", address.Host + "/mirror/other:v2"}
	got, err := Push(t.Context(), image, bin, address.Host+"/mirror")
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("got %q, %v; want %q", got, err, want)
	}
	built, err := Build(image, bin)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := built.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for _, pushed := range got {
		ref, err := name.ParseReference(pushed)
		if err != nil {
			t.Fatal(err)
		}
		if found, err := remote.Head(ref); err != nil || found.Digest != digest {
			t.Errorf("%s: got %v, %v; want %s", pushed, found, err, digest)
		}
	}
}

func TestPushRefusesNonsense(t *testing.T) {
	image, bin := sample(t)
	if got, err := Push(t.Context(), image, bin, "not a host"); err == nil {
		t.Errorf("got %q, want an error", got)
	}
}

// The catalogue is a contract: manifests everywhere name these images.
func TestCatalogue(t *testing.T) {
	var got []string
	for _, image := range Catalogue(Versions{Garret: "v0.1.0", Kubernetes: "v1.37.2", CoreDNS: "v1.15.0",
		Traefik: "v3.0.0", CertManager: "v1.0.0", Pebble: "2.0.0"}) {
		got = append(got, image.Tags...)
		for _, tag := range image.Tags {
			if _, err := name.NewTag(tag, name.StrictValidation); err != nil {
				t.Errorf("%s: %v", tag, err)
			}
		}
	}
	slices.Sort(got)
	want := []string{
		"docker.io/library/busybox:1.36",
		"docker.io/library/traefik:v3.0.0",
		"docker.io/rancher/k3s:v1.37.2-k3s1",
		"garret.dev/garret/apiserver:v0.1.0",
		"garret.dev/garret/controller:v0.1.0",
		"garret.dev/garret/controlplane:v1.37.2",
		"garret.dev/garret/syncer:v0.1.0",
		"gcr.io/k8s-staging-gateway-api/echo-basic:v20240412-v1.0.0-394-g40c666fd",
		"ghcr.io/letsencrypt/pebble:2.0.0",
		"quay.io/jetstack/cert-manager-acmesolver:v1.0.0",
		"quay.io/jetstack/cert-manager-controller:v1.0.0",
		"registry.k8s.io/coredns/coredns:v1.12.2",
		"registry.k8s.io/coredns/coredns:v1.15.0",
		"registry.k8s.io/e2e-test-images/agnhost:2.53",
		"registry.k8s.io/pause:3.10",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What an older minor runs is what the newest does, from the minor's own folder.
func TestOlder(t *testing.T) {
	newest := Catalogue(Versions{Kubernetes: "v1.37.2"})
	for i, image := range Older("v1.36.3") {
		want := newest[i]
		want.Name += "-v1.36"
		want.Tags = []string{strings.Replace(want.Tags[0], "v1.37.2", "v1.36.3", 1)}
		want.Files = slices.Clone(want.Files)
		want.Files[0].From, want.Files[2].From = "v1.36/controlplane", "v1.36/controlplane.db"
		if !reflect.DeepEqual(image, want) {
			t.Errorf("got %+v, want %+v", image, want)
		}
	}
}
