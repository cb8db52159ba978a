// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"slices"
	"time"
)

// clockSkew is how far the clocks of Garret and of a virtual cluster may be apart.
const clockSkew = 5 * time.Minute

// Subject is the identity that a certificate is asked for.
type Subject struct {
	// CommonName is the name of the user.
	CommonName string
	// Organization are the groups.
	Organization []string
}

// Credential is a client certificate and its key, held in memory.
type Credential struct {
	// Certificate has its leaf parsed.
	Certificate tls.Certificate
	// ID names the credential of a kubeconfig inside, where it is revoked by. It
	// is no secret. The relay's has none.
	ID string
}

// Serial is the serial number of the certificate in hexadecimal digits. It
// identifies the credential and is no secret.
func (c *Credential) Serial() string { return c.Certificate.Leaf.SerialNumber.Text(16) }

// NotAfter is when the certificate ends.
func (c *Credential) NotAfter() time.Time { return c.Certificate.Leaf.NotAfter }

// certificatePEM is the certificate as a kubeconfig holds it.
func (c *Credential) certificatePEM() []byte {
	var out []byte
	for _, der := range c.Certificate.Certificate {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return out
}

// keyPEM is the key as a kubeconfig holds it.
func (c *Credential) keyPEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(c.Certificate.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func newKey() (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	return key, nil
}

// newRequest makes a PEM encoded certificate request.
func newRequest(key crypto.Signer, subject Subject) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: subject.CommonName, Organization: subject.Organization},
	}, key)
	if err != nil {
		return nil, fmt.Errorf("create certificate request: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// newCredential joins key and certificate, and refuses a certificate that is
// not the one that was asked for.
func newCredential(key crypto.Signer, chain []byte, subject Subject, life time.Duration, now time.Time) (*Credential, error) {
	var certificate tls.Certificate
	for block, rest := pem.Decode(chain); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			certificate.Certificate = append(certificate.Certificate, block.Bytes)
		}
	}
	if len(certificate.Certificate) == 0 {
		return nil, fmt.Errorf("the answer holds no certificate")
	}
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("parse certificate: %w", err)
	}
	if err := checkIssued(leaf, key, subject, life, now); err != nil {
		return nil, err
	}
	certificate.Leaf = leaf
	certificate.PrivateKey = key
	return &Credential{Certificate: certificate}, nil
}

func checkIssued(leaf *x509.Certificate, key crypto.Signer, subject Subject, life time.Duration, now time.Time) error {
	public, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	switch {
	case !ok || !public.Equal(key.Public()):
		return fmt.Errorf("the certificate is for another key")
	case leaf.Subject.CommonName != subject.CommonName || !sameSet(leaf.Subject.Organization, subject.Organization):
		return fmt.Errorf("the certificate is for another subject, %q", leaf.Subject.String())
	case leaf.IsCA:
		return fmt.Errorf("the certificate is that of a certificate authority")
	case !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth):
		return fmt.Errorf("the certificate is not for client authentication")
	case !leaf.NotAfter.After(now):
		return fmt.Errorf("the certificate has expired, at %s", leaf.NotAfter.Format(time.RFC3339))
	case leaf.NotBefore.After(now.Add(clockSkew)):
		return fmt.Errorf("the certificate is not valid before %s", leaf.NotBefore.Format(time.RFC3339))
	case leaf.NotAfter.After(now.Add(life + clockSkew)):
		return fmt.Errorf("the certificate lives longer than the %s asked for, until %s", life, leaf.NotAfter.Format(time.RFC3339))
	}
	return nil
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
