// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/apiserver"
	"garret.dev/garret/pkg/apiserver/certs"
	"garret.dev/garret/test/framework"
)

// hourLives let keepers replace an authority within an hour of their clock, which the
// test pushes on. It begins with the real time, and a certificate an hour before it is
// made: there is never one that others, who go by the real time, would not take. The
// overlap, in which they learn about the successor, is waited for: a busy machine
// keeps the host waiting for a second or two.
var hourLives = certs.Lives{Authority: 50 * time.Minute, Overlap: 8 * time.Second, Leaf: 15 * time.Minute}

// certificates reads a bundle.
func certificates(t *testing.T, bundle []byte) []*x509.Certificate {
	t.Helper()
	var out []*x509.Certificate
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, certificate)
	}
	return out
}

// served is the certificate that a replica presents now.
func served(t *testing.T, address string) *x509.Certificate {
	t.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

// published is the bundle in the APIService.
func published(ctx context.Context) ([]byte, error) {
	registration, err := shared.registrations.ApiregistrationV1().APIServices().Get(ctx, certs.APIServiceName, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return registration.Spec.CABundle, nil
}

// forget has the next replica make certificates anew.
func forget(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	_ = core().CoreV1().Secrets(v1.SystemNamespace).Delete(ctx, certs.SecretName, metav1.DeleteOptions{})
	_ = core().CoreV1().ConfigMaps(v1.SystemNamespace).Delete(ctx, v1.CAConfigMap, metav1.DeleteOptions{})
	if _, err := shared.registrations.ApiregistrationV1().APIServices().Patch(ctx, certs.APIServiceName, types.MergePatchType,
		[]byte(`{"spec":{"caBundle":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestRotationUnderLoad goes through the whole life of an authority and into
// that of its successor, with two replicas that share the Secret.
func TestRotationUnderLoad(t *testing.T) {
	forget(t)
	t.Cleanup(func() { forget(t) })
	clock := framework.NewClock(t)
	keep := func(options *apiserver.Options) { options.Lives, options.Clock = hourLives, clock }
	replicas := []*replica{within(t, keep), within(t, keep)}
	available(t)
	begin, err := published(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	original := certificates(t, begin)[0]
	load := underLoad(t)

	bundles := [][]*x509.Certificate{certificates(t, begin)}
	leaves := map[string]bool{}
	framework.Eventually(t, "the first authority is gone", func(ctx context.Context) (bool, error) {
		now := clock.Now()
		raw, err := published(ctx)
		if err != nil {
			return false, err
		}
		bundle := certificates(t, raw)
		if last := bundles[len(bundles)-1]; !slices.EqualFunc(last, bundle, (*x509.Certificate).Equal) {
			if !slices.ContainsFunc(bundle, func(c *x509.Certificate) bool { return slices.ContainsFunc(last, c.Equal) }) {
				t.Error("a bundle was replaced by one that shares no authority with it")
			}
			bundles = append(bundles, bundle)
		}
		signs, due := false, false
		for _, r := range replicas {
			leaf := served(t, r.address)
			leaves[leaf.SerialNumber.String()] = true
			if now.After(leaf.NotAfter) {
				t.Errorf("a certificate that has ended at %s is served at %s", leaf.NotAfter, now)
			}
			signs = signs || leaf.CheckSignatureFrom(original) == nil
			due = due || leaf.NotAfter.Sub(now) <= hourLives.Leaf/3
		}
		switch left := original.NotAfter.Sub(now); {
		case !signs && !slices.ContainsFunc(bundle, original.Equal):
			return true, nil
		case due:
			// A replica has yet to serve another one.
		case signs && (left < hourLives.Authority/5 || len(bundle) > 1):
			// The successor has yet to be published, or to be known to everybody.
		case left <= 0:
			// The first authority has yet to be dropped.
		default:
			clock.Push(hourLives.Leaf / 10)
		}
		return false, nil
	})
	load.ExpectNone(t)
	t.Logf("%d bundles, %d serving certificates", len(bundles), len(leaves))
	if len(bundles) < 3 {
		t.Errorf("%d bundles were seen, want the authority alone, both, and the successor alone", len(bundles))
	}
	if len(leaves) < 4 {
		t.Errorf("%d serving certificates were seen, want each authority to sign several", len(leaves))
	}
}

// TestSecretUnderLoad has the Secret deleted, garbled and exchanged.
func TestSecretUnderLoad(t *testing.T) {
	forget(t)
	first, second := within(t, nil), within(t, nil)
	available(t)
	secrets := core().CoreV1().Secrets(v1.SystemNamespace)
	before, err := secrets.Get(t.Context(), certs.SecretName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	load := underLoad(t)
	restored := func(ctx context.Context) (bool, error) {
		now, err := secrets.Get(ctx, certs.SecretName, metav1.GetOptions{})
		return err == nil && now.ResourceVersion != before.ResourceVersion && string(now.Data["ca.crt"]) == string(before.Data["ca.crt"]) && len(now.Data["tls.key"]) > 0, nil
	}
	if err := secrets.Delete(t.Context(), certs.SecretName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	framework.Eventually(t, "the deleted Secret is back, with the same authority", restored)
	for _, data := range []string{`{"data":null}`, `{"data":{"ca.key":"eA=="}}`, `{"data":{"tls.crt":"eA==","next-ca.crt":null}}`} {
		patched, err := secrets.Patch(t.Context(), certs.SecretName, types.MergePatchType, []byte(data), metav1.PatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		before.ResourceVersion = patched.ResourceVersion
		framework.Eventually(t, "the Secret is whole again after "+data, restored)
	}

	// The keys of another installation, as after a restored backup.
	other := certs.NewKeeper(core(), metav1.NamespaceDefault, certs.Identity{
		DNSNames: []string{"garret-apiserver." + v1.SystemNamespace + ".svc"}, ClientName: v1.APIServerUser}, certs.DefaultLives())
	if err := other.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	foreign, err := core().CoreV1().Secrets(metav1.NamespaceDefault).Get(t.Context(), certs.SecretName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	latest, err := secrets.Get(t.Context(), certs.SecretName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	latest.Data = foreign.Data
	if _, err := secrets.Update(t.Context(), latest, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	authority := certificates(t, foreign.Data["ca.crt"])[0]
	framework.Eventually(t, "both replicas serve what the new authority signed", func(context.Context) (bool, error) {
		return served(t, first.address).CheckSignatureFrom(authority) == nil && served(t, second.address).CheckSignatureFrom(authority) == nil, nil
	})
	load.ExpectNone(t)
	raw, err := published(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if bundle := certificates(t, raw); len(bundle) != 2 || !slices.ContainsFunc(bundle, certificates(t, before.Data["ca.crt"])[0].Equal) {
		t.Errorf("%d authorities are published, want the new one and the one before", len(bundle))
	}
}
