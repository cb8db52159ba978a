// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"crypto/x509"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/klog/v2/ktesting"
	testclock "k8s.io/utils/clock/testing"
)

// TestSuccessorWaitsUntilItIsPublished has the publication fail for the whole
// overlap.
func TestSuccessorWaitsUntilItIsPublished(t *testing.T) {
	_, ctx := ktesting.NewTestContext(t)
	client, clock := fake.NewClientset(), testclock.NewFakeClock(time.Now())
	keeper := newTestKeeper(client, clock)
	step := func(after time.Duration) *Material {
		t.Helper()
		clock.SetTime(clock.Now().Add(after))
		if err := keeper.Sync(ctx); err != nil {
			t.Fatal(err)
		}
		return keeper.current.Load()
	}
	first := step(0)
	keeper.Published(keeper.Bundle())
	lives := DefaultLives()
	due := step(lives.Authority * 9 / 10)
	if due.Successor == nil || due.Authority != first.Authority && !due.Authority.Certificate.Equal(first.Authority.Certificate) {
		t.Fatal("no successor was made in time")
	}
	if waiting := step(3 * lives.Overlap); !waiting.Authority.Certificate.Equal(first.Authority.Certificate) {
		t.Error("the successor signs, and nobody knows it")
	}
	keeper.Published(keeper.Bundle())
	if after := step(0); !after.Authority.Certificate.Equal(due.Successor.Certificate) {
		t.Error("the successor does not sign, though everybody knows it")
	}
}

// TestExchangedSecret has somebody put the Secret of another installation in
// the place of ours.
func TestExchangedSecret(t *testing.T) {
	_, ctx := ktesting.NewTestContext(t)
	clock := testclock.NewFakeClock(time.Now())
	client, other := fake.NewClientset(), fake.NewClientset()
	keeper, foreign := newTestKeeper(client, clock), newTestKeeper(other, clock)
	load(t, ctx, keeper)
	load(t, ctx, foreign)
	keeper.Published(keeper.Bundle())
	ours, theirs := keeper.current.Load(), foreign.current.Load()

	secret, err := other.CoreV1().Secrets("garret-system").Get(ctx, SecretName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().Secrets("garret-system").Update(ctx, secret, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := keeper.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	bundle := keeper.current.Load().Bundle()
	for whose, leaf := range map[string]*x509.Certificate{"ours": ours.Serving.Certificate, "theirs": theirs.Serving.Certificate} {
		verify(t, "the serving certificate that is "+whose, leaf, bundle, clock.Now(), x509.ExtKeyUsageServerAuth)
	}
	if keeper.served.Load() != ours.Serving {
		t.Error("a certificate is served whose authority was never published")
	}
	if got, err := keeper.ClientCertificate(nil); err != nil || !got.Leaf.Equal(ours.Client.Certificate) {
		t.Errorf("a client certificate is used that no syncer knows yet: %v", err)
	}
	if err := keeper.Check(nil); err != nil {
		t.Errorf("not ready: %v", err)
	}
	keeper.Published(keeper.Bundle())
	waitUntil(t, "the new certificate is served", func() bool {
		return keeper.served.Load().Certificate.Equal(theirs.Serving.Certificate)
	})
	clock.SetTime(clock.Now().Add(2 * spread))
	if got, err := keeper.ClientCertificate(nil); err != nil || !got.Leaf.Equal(theirs.Client.Certificate) {
		t.Errorf("the client certificate is still the one before: %v", err)
	}

	// Another replica reads from the Secret what is to be published.
	second := newTestKeeper(client, clock)
	load(t, ctx, second)
	if !same(second.current.Load(), keeper.current.Load()) {
		t.Error("another replica publishes another bundle")
	}
}

func TestCheck(t *testing.T) {
	_, ctx := ktesting.NewTestContext(t)
	clock := testclock.NewFakeClock(time.Now())
	keeper, foreign := newTestKeeper(fake.NewClientset(), clock), newTestKeeper(fake.NewClientset(), clock)
	load(t, ctx, keeper)
	load(t, ctx, foreign)
	for _, step := range []struct {
		name string
		do   func()
		want string
	}{
		{"at first", func() {}, "the certificate authority is not published yet"},
		{"another bundle published", func() { keeper.Published(foreign.Bundle()) }, "the authority of the serving certificate is not published"},
		{"published", func() { keeper.Published(keeper.Bundle()) }, ""},
	} {
		step.do()
		got := ""
		if err := keeper.Check(nil); err != nil {
			got = err.Error()
		}
		if got != step.want {
			t.Errorf("%s: got %q, want %q", step.name, got, step.want)
		}
	}
	clock.SetTime(clock.Now().Add(31 * day))
	if err := keeper.Check(nil); err == nil {
		t.Error("ready with a certificate that has ended")
	}
}

func waitUntil(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not happen that %s", what)
		}
	}
}
