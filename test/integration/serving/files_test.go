// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/apiserver"
	"garret.dev/garret/pkg/apiserver/certs"
	"garret.dev/garret/test/framework"
)

// issued is a serving certificate that somebody else made, and its authority.
func issued(t *testing.T, namespace string) map[string][]byte {
	t.Helper()
	other := certs.NewKeeper(core(), namespace, certs.Identity{
		DNSNames: []string{"garret-apiserver." + v1.SystemNamespace + ".svc"}, ClientName: "nobody"}, certs.DefaultLives())
	if err := other.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	secret, err := core().CoreV1().Secrets(namespace).Get(t.Context(), certs.SecretName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return secret.Data
}

// mount writes the pair as a kubelet does: into a directory of its own, to
// which a link then points, through which the files are links. The directory
// before is removed.
func mount(t *testing.T, dir, version string, data map[string][]byte) {
	t.Helper()
	at := filepath.Join(dir, version)
	if err := os.MkdirAll(at, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tls.crt", "tls.key"} {
		if err := os.WriteFile(filepath.Join(at, name), data[name], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	current := filepath.Join(dir, "current")
	before, err := os.Readlink(current)
	link := filepath.Join(dir, "next")
	if err := errors.Join(os.Symlink(version, link), os.Rename(link, current)); err != nil {
		t.Fatal(err)
	}
	if err == nil {
		if err := os.RemoveAll(filepath.Join(dir, before)); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, name := range []string{"tls.crt", "tls.key"} {
		if err := os.Symlink(filepath.Join("current", name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCertificatesFromFiles has somebody else make the serving certificate and
// publish its authority, as cert-manager does, and replace it under load.
func TestCertificatesFromFiles(t *testing.T) {
	forget(t)
	t.Cleanup(func() { forget(t) })
	first := issued(t, shared.host.NewNamespace(t, "issuer-"))
	second := issued(t, shared.host.NewNamespace(t, "issuer-"))
	bundle := append(append([]byte{}, first["ca.crt"]...), second["ca.crt"]...)
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"caBundle": bundle}})
	if err != nil {
		t.Fatal(err)
	}
	injected, err := shared.registrations.ApiregistrationV1().APIServices().Patch(t.Context(), certs.APIServiceName, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	mount(t, dir, "v1", first)
	r := within(t, func(options *apiserver.Options) {
		pair := &options.Recommended.SecureServing.ServerCert.CertKey
		pair.CertFile, pair.KeyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	})
	available(t)
	load := underLoad(t)
	if served(t, r.address).CheckSignatureFrom(certificates(t, first["ca.crt"])[0]) != nil {
		t.Error("the certificate in the files is not served")
	}
	mount(t, dir, "v2", second)
	authority := certificates(t, second["ca.crt"])[0]
	framework.Eventually(t, "the replaced certificate is served", func(context.Context) (bool, error) {
		return served(t, r.address).CheckSignatureFrom(authority) == nil, nil
	})

	// What garret-apiserver introduces itself with to syncers is its own still.
	inside(t)
	load.ExpectNone(t)
	after, err := shared.registrations.ApiregistrationV1().APIServices().Get(t.Context(), certs.APIServiceName, metav1.GetOptions{})
	if err != nil || string(after.Spec.CABundle) != string(injected.Spec.CABundle) {
		t.Errorf("the APIService: got another bundle than was injected, %v", err)
	}
}
