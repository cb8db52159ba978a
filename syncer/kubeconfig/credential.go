// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package kubeconfig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"time"

	"k8s.io/client-go/util/keyutil"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/pki"
)

const (
	// life is that of a credential: the longest that Garret gives to any.
	life = 24 * time.Hour
	// backdate covers clocks that are a little behind.
	backdate = time.Minute
)

// credential is a certificate and its key, in PEM.
type credential struct {
	id                string
	certificate, key  []byte
	notBefore, expiry time.Time
}

// renewal is when two thirds of its life are over.
func (c *credential) renewal() time.Time {
	return c.expiry.Add(-c.expiry.Sub(c.notBefore) / 3)
}

// newCredential makes a key, and has give provide its rights before it is signed. What
// give provided is there still when signing fails.
func newCredential(authority *pki.Authority, secret string, now time.Time, give func(id string, expires time.Time) error) (*credential, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	id, err := tenancyv1.CredentialID(key.Public())
	if err != nil {
		return nil, err
	}
	// A certificate counts whole seconds, and so does the binding's annotation.
	now = now.Truncate(time.Second)
	made := &credential{id: id, key: pem.EncodeToMemory(&pem.Block{Type: keyutil.ECPrivateKeyBlockType, Bytes: der})}
	if err := give(id, now.Add(life)); err != nil {
		return made, err
	}
	signed, err := authority.Sign(&x509.Certificate{
		Subject:               pkix.Name{CommonName: tenancyv1.SecretUser(id, secret), Organization: []string{tenancyv1.KubeconfigPrefix + id}},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(life),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}, key.Public())
	if err != nil {
		return made, err
	}
	// It may end before, with the authority.
	leaf, err := x509.ParseCertificate(signed)
	if err != nil {
		return made, err
	}
	made.certificate, made.notBefore, made.expiry = pki.EncodeCertificate(signed), leaf.NotBefore, leaf.NotAfter
	return made, nil
}

// readCredential takes what a Secret holds for a credential only where the authority
// has signed it for this Secret, and it belongs to its key. It may have expired.
func readCredential(authority *pki.Authority, secret string, certificate, key []byte) (*credential, bool) {
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, false
	}
	bundle, err := authority.Bundle()
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(bundle) {
		return nil, false
	}
	leaf := pair.Leaf
	options := x509.VerifyOptions{Roots: roots, CurrentTime: leaf.NotBefore.Add(backdate), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := leaf.Verify(options); err != nil {
		return nil, false
	}
	id, err := tenancyv1.CredentialID(leaf.PublicKey)
	if err != nil || leaf.Subject.CommonName != tenancyv1.SecretUser(id, secret) {
		return nil, false
	}
	return &credential{id: id, certificate: certificate, key: key, notBefore: leaf.NotBefore, expiry: leaf.NotAfter}, true
}
