// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"k8s.io/klog/v2"
)

const (
	// settle is how long after a publication the host is taken to go by it.
	settle = 3 * time.Second
	// spread is the same for syncers, which read it from a mounted file.
	spread = 15 * time.Minute
)

// former is a client certificate that goes on being used for a while.
type former struct {
	pair  *Pair
	until time.Time
}

// Published tells the keeper which bundle others have been given.
func (k *Keeper) Published(bundle []byte) {
	certificates, err := decodeCertificates(bundle)
	if err != nil {
		return // it was encoded here
	}
	if before := k.published.Swap(&certificates); before != nil && slices.EqualFunc(*before, certificates, (*x509.Certificate).Equal) {
		return
	}
	if k.served.Load() != k.current.Load().Serving {
		time.AfterFunc(settle, func() {
			k.serve()
			k.notify()
		})
	}
}

// serve chooses the serving certificate. A new one waits for its authority to
// be published, as long as the one before is good: this only makes a difference
// when the Secret was exchanged, since a successor is published long before.
func (k *Keeper) serve() {
	current, before := k.current.Load(), k.served.Load()
	if before != nil && k.clock.Now().Before(before.Certificate.NotAfter) && !k.knows(current.Authority.Certificate) {
		return
	}
	k.served.Store(current.Serving)
}

// knows tells whether others have been told about the authority. Who has not
// published anything yet cannot wait for it.
func (k *Keeper) knows(authority *x509.Certificate) bool {
	published := k.published.Load()
	return published == nil || slices.ContainsFunc(*published, authority.Equal)
}

// clientPair chooses the client certificate: syncers take longer to learn about an
// exchanged authority than the host does.
func (k *Keeper) clientPair() *Pair {
	now := k.clock.Now()
	if former := k.former.Load(); former != nil && now.Before(former.until) && now.Before(former.pair.Certificate.NotAfter) {
		return former.pair
	}
	return k.current.Load().Client
}

// livesFor keeps a successor from signing before it is published, however long
// that takes; only the end of its predecessor overrides it.
func (k *Keeper) livesFor(material *Material) Lives {
	lives := k.lives
	if material != nil && material.Successor != nil && !k.knows(material.Successor.Certificate) {
		lives.Overlap = lives.Authority
	}
	return lives
}

// acquaint makes a Secret that somebody exchanged for another known beside the
// authorities in use: whatever is signed by those stays good until it ends. It
// tells whether the Secret has to be written.
//
// That an exchanged authority is adopted at all is because replicas must agree,
// and the Secret is where they do. Who may write it is Garret's administrator,
// see the package comment; the log says when it happens.
func (k *Keeper) acquaint(ctx context.Context, found *Material) (write bool) {
	current := k.current.Load()
	if current == nil || slices.ContainsFunc(current.Bundle(), found.Authority.Certificate.Equal) {
		return false
	}
	known := found.Bundle()
	for _, authority := range current.Bundle() {
		if !slices.ContainsFunc(known, authority.Equal) {
			found.Predecessors = append(slices.Clone(found.Predecessors), authority)
			write = true
		}
	}
	if write {
		k.former.Store(&former{current.Client, k.clock.Now().Add(spread)})
		klog.FromContext(ctx).Error(errors.New("unknown certificate authority"),
			"The Secret was exchanged by somebody else: its authority is used from now on, and the one before stays published",
			"secret", klog.KRef(k.namespace, SecretName),
			"authority", found.Authority.Certificate.Subject.CommonName, "before", current.Authority.Certificate.Subject.CommonName)
	}
	return write
}

// Check fails when what is served could not be verified by the host: nothing
// has been published yet, or the certificate has ended.
func (k *Keeper) Check(*http.Request) error {
	served, published := k.served.Load(), k.published.Load()
	switch {
	case published == nil:
		return errors.New("the certificate authority is not published yet")
	case k.clock.Now().After(served.Certificate.NotAfter):
		return fmt.Errorf("the serving certificate has ended at %s", served.Certificate.NotAfter.Format(time.RFC3339))
	case !slices.ContainsFunc(*published, func(authority *x509.Certificate) bool {
		return bytes.Equal(authority.RawSubject, served.Certificate.RawIssuer) && served.Certificate.CheckSignatureFrom(authority) == nil
	}):
		return errors.New("the authority of the serving certificate is not published")
	}
	return nil
}
