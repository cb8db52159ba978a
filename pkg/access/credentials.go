// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"garret.dev/garret/apis/tenancy"
)

const (
	// DefaultRelayLife is the life of the relay's certificates.
	DefaultRelayLife = time.Hour
	// expiryMargin is how long before its end a certificate is no longer used:
	// a request begun with it should also be authenticated with it.
	expiryMargin = 10 * time.Second
	// retryIssue is how long a failure to get a certificate is remembered, so
	// that a virtual cluster that is down is not asked on every request.
	retryIssue = time.Second
	// rejectInterval is the least age of a certificate that can be rejected.
	// Without it a virtual cluster that refuses every certificate, or an
	// application behind it that answers 401, would have one made per request.
	rejectInterval = 10 * time.Second
)

// Credentials keeps the relay's credential for each virtual cluster.
//
// A credential belongs to one UID and one certificate authority: a cluster
// that was deleted and made again under the same name, or that changed its
// authority, gets a new one.
type Credentials struct {
	issuer *Issuer
	life   time.Duration
	clock  clock.PassiveClock
	flight singleflight.Group

	mu      sync.Mutex
	entries map[types.UID]*entry
}

// entry is guarded by Credentials.mu.
type entry struct {
	authority  [sha256.Size]byte
	credential *Credential
	obtained   time.Time
	err        error
	retryAt    time.Time
	usedAt     time.Time
}

// NewCredentials keeps credentials of the given life, which are renewed after
// two thirds of it.
func NewCredentials(issuer *Issuer, life time.Duration) *Credentials {
	return &Credentials{issuer: issuer, life: life, clock: clock.RealClock{}, entries: map[types.UID]*entry{}}
}

// WithClock has credentials kept by another clock than the machine's.
func (c *Credentials) WithClock(clock clock.PassiveClock) *Credentials {
	c.clock = clock
	return c
}

// Get returns the credential with which to enter the virtual cluster.
func (c *Credentials) Get(ctx context.Context, cluster *tenancy.VirtualCluster) (*Credential, error) {
	now := c.clock.Now()
	c.mu.Lock()
	e := c.entryFor(cluster, now)
	credential, err := e.credential, e.err
	usable := credential != nil && now.Before(credential.NotAfter().Add(-expiryMargin))
	mayAsk := !now.Before(e.retryAt)
	due := usable && !now.Before(e.obtained.Add(credential.NotAfter().Sub(e.obtained)*2/3))
	c.mu.Unlock()

	switch {
	case usable && due && mayAsk:
		c.ask(ctx, cluster, e, credential)
		return credential, nil
	case usable:
		return credential, nil
	case err != nil && !mayAsk:
		return nil, err
	}
	select {
	case result := <-c.ask(ctx, cluster, e, credential):
		if result.Err != nil {
			return nil, result.Err
		}
		return result.Val.(*Credential), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Reject reports that the virtual cluster did not accept the credential. It
// tells whether asking for another one is of use: not so when this one is new.
func (c *Credentials) Reject(cluster *tenancy.VirtualCluster, credential *Credential) bool {
	now := c.clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entryFor(cluster, now)
	if e.credential != credential {
		return true
	}
	if now.Before(e.obtained.Add(rejectInterval)) {
		return false
	}
	e.credential = nil
	return true
}

// entryFor finds or makes the entry, with c.mu held.
func (c *Credentials) entryFor(cluster *tenancy.VirtualCluster, now time.Time) *entry {
	authority := sha256.Sum256(cluster.Status.CertificateAuthorityData)
	e := c.entries[cluster.UID]
	if e == nil || e.authority != authority {
		e = &entry{authority: authority}
		c.entries[cluster.UID] = e
	}
	e.usedAt = now
	return e
}

// ask has a credential made, once for all who wait for it. The request that
// happens to come first must not take the others down when it is cancelled.
// seen is what the caller found wanting: who comes late gets what replaced it.
func (c *Credentials) ask(ctx context.Context, cluster *tenancy.VirtualCluster, e *entry, seen *Credential) <-chan singleflight.Result {
	key := string(cluster.UID) + "/" + string(e.authority[:])
	return c.flight.DoChan(key, func() (any, error) {
		c.mu.Lock()
		replaced := e.credential
		c.mu.Unlock()
		if replaced != nil && replaced != seen {
			return replaced, nil
		}
		detached := context.WithoutCancel(ctx)
		credential, err := c.issuer.Relay(detached, cluster, c.life)
		now := c.clock.Now()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.prune(now)
		logger := klog.FromContext(ctx).WithValues("virtualCluster", klog.KRef(cluster.Namespace, cluster.Name))
		if err != nil {
			e.err, e.retryAt = err, now.Add(retryIssue)
			logger.Error(err, "No credential for the relay")
			return nil, err
		}
		e.credential, e.obtained, e.err, e.retryAt = credential, now, nil, time.Time{}
		logger.V(2).Info("Obtained a credential for the relay", "serial", credential.Serial(), "notAfter", credential.NotAfter())
		return credential, nil
	})
}

// prune forgets clusters that nobody entered for a whole life, with c.mu held.
func (c *Credentials) prune(now time.Time) {
	for uid, e := range c.entries {
		if now.After(e.usedAt.Add(c.life)) {
			delete(c.entries, uid)
		}
	}
}
