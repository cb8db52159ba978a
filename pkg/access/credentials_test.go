// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"crypto/x509"
	"net/http"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	testclock "k8s.io/utils/clock/testing"

	"garret.dev/garret/pkg/access/accesstest"
)

// newTestCredentials shares one clock between the cache, its issuer client and
// the issuer that signs.
func newTestCredentials(t *testing.T) (*accesstest.Cluster, *Credentials, *testclock.FakePassiveClock) {
	c := accesstest.New(t, "team", "demo", http.NotFoundHandler())
	clock := testclock.NewFakePassiveClock(time.Now())
	c.Now = clock.Now
	issuer := newTestIssuer(c)
	issuer.clock = clock
	return c, NewCredentials(issuer, time.Hour).WithClock(clock), clock
}

func get(t *testing.T, credentials *Credentials, c *accesstest.Cluster) *Credential {
	t.Helper()
	credential, err := credentials.Get(t.Context(), c.VirtualCluster)
	if err != nil {
		t.Fatalf("get credential: %v", err)
	}
	return credential
}

func TestCredentialsAreSharedAndKept(t *testing.T) {
	c, credentials, clock := newTestCredentials(t)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() { get(t, credentials, c) })
	}
	group.Wait()
	first := get(t, credentials, c)
	clock.SetTime(clock.Now().Add(39 * time.Minute))
	if get(t, credentials, c) != first {
		t.Error("a credential of 39 minutes was replaced, want it kept")
	}
	if c.Issued() != 1 {
		t.Errorf("%d certificates were signed for 20 requests at once, want 1", c.Issued())
	}
}

func TestCredentialsAreRenewedInTheBackground(t *testing.T) {
	c, credentials, clock := newTestCredentials(t)
	first := get(t, credentials, c)
	clock.SetTime(clock.Now().Add(41 * time.Minute))
	if get(t, credentials, c) != first {
		t.Error("a request had to wait for the renewal, want the old credential while it is good")
	}
	waitFor(t, func() bool { return get(t, credentials, c) != first })
	if c.Issued() != 2 {
		t.Errorf("%d certificates were signed, want 2", c.Issued())
	}
}

func TestRenewalThatFailsKeepsTheOldCredential(t *testing.T) {
	c, credentials, clock := newTestCredentials(t)
	first := get(t, credentials, c)
	c.Mangle = func(x *x509.Certificate) any { x.Subject.CommonName = "system:admin"; return nil }
	clock.SetTime(clock.Now().Add(50 * time.Minute))
	get(t, credentials, c)
	waitFor(t, func() bool { return c.Issued() == 2 })
	if get(t, credentials, c) != first {
		t.Error("the old credential is gone, want it until its end")
	}
	clock.SetTime(clock.Now().Add(10 * time.Minute))
	if got, err := credentials.Get(t.Context(), c.VirtualCluster); err == nil {
		t.Errorf("got a credential until %s at its end, want an error", got.NotAfter())
	}
}

func TestCredentialsBelongToOneCluster(t *testing.T) {
	c, credentials, _ := newTestCredentials(t)
	first := get(t, credentials, c)
	c.VirtualCluster = c.VirtualCluster.DeepCopy()
	c.VirtualCluster.UID = "2f2a9d3c-0000-4000-8000-000000000002"
	second := get(t, credentials, c)
	if second == first {
		t.Error("the credential of one UID was used for another")
	}
	c.VirtualCluster = c.VirtualCluster.DeepCopy()
	c.VirtualCluster.Status.CertificateAuthorityData = append([]byte("\n"), c.VirtualCluster.Status.CertificateAuthorityData...)
	if get(t, credentials, c) == second {
		t.Error("the credential of one authority was used for another")
	}
}

func TestFailureIsRememberedForASecond(t *testing.T) {
	c, credentials, clock := newTestCredentials(t)
	asked := 0
	c.Answer = func(w http.ResponseWriter, _ *http.Request) { asked++; w.WriteHeader(http.StatusServiceUnavailable) }
	for range 5 {
		if _, err := credentials.Get(t.Context(), c.VirtualCluster); err == nil {
			t.Fatal("got a credential, want an error")
		}
	}
	if asked != 1 {
		t.Errorf("the issuer was asked %d times at once, want 1", asked)
	}
	c.Answer = nil
	clock.SetTime(clock.Now().Add(retryIssue))
	get(t, credentials, c)
}

func TestReject(t *testing.T) {
	c, credentials, clock := newTestCredentials(t)
	first := get(t, credentials, c)
	if credentials.Reject(c.VirtualCluster, first) {
		t.Error("a credential of no age was given up, want it kept so that none is made per request")
	}
	clock.SetTime(clock.Now().Add(rejectInterval))
	if !credentials.Reject(c.VirtualCluster, first) {
		t.Error("a credential was kept that the server no longer accepts")
	}
	second := get(t, credentials, c)
	if second == first {
		t.Error("the rejected credential was given out again")
	}
	if !credentials.Reject(c.VirtualCluster, first) || get(t, credentials, c) != second {
		t.Error("rejecting an old credential took the new one away")
	}
}

func TestForgottenAfterAWholeLife(t *testing.T) {
	c, credentials, clock := newTestCredentials(t)
	get(t, credentials, c)
	clock.SetTime(clock.Now().Add(2 * time.Hour))
	c.VirtualCluster = c.VirtualCluster.DeepCopy()
	c.VirtualCluster.UID = "2f2a9d3c-0000-4000-8000-000000000003"
	get(t, credentials, c)
	if len(credentials.entries) != 1 {
		t.Errorf("%d clusters are remembered, want the one in use", len(credentials.entries))
	}
}

func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) { return condition(), nil })
	if err != nil {
		t.Fatal("the condition did not come true in ten seconds")
	}
}
