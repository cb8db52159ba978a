// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"time"
)

// backdate lets a certificate be used at once by machines whose clock is behind.
const backdate = time.Hour

// Lives are the spans of the certificates.
type Lives struct {
	// Authority is the life of the certificate authority. Its successor is made
	// when a fifth of it is left.
	Authority time.Duration
	// Overlap is how long the successor is published before it signs.
	Overlap time.Duration
	// Leaf is the life of serving and client certificate, which are replaced
	// when a third of it is left.
	Leaf time.Duration
}

// check is how often to look whether something is due.
func (l Lives) check() time.Duration { return min(checkInterval, l.Leaf/10, l.Overlap/4) }

// DefaultLives are ten years, a week and a month.
func DefaultLives() Lives {
	const day = 24 * time.Hour
	return Lives{Authority: 3650 * day, Overlap: 7 * day, Leaf: 30 * day}
}

// Identity is what the leaf certificates say.
type Identity struct {
	// DNSNames are those under which garret-apiserver is reached.
	DNSNames []string
	// IPAddresses likewise.
	IPAddresses []net.IP
	// ClientName is the common name of the client certificate.
	ClientName string
}

// Pair is a certificate and its key.
type Pair struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
}

// Material is all that the Secret holds.
type Material struct {
	// Authority signs.
	Authority *Pair
	// Successor will sign; it is published already. Often nil.
	Successor *Pair
	// Predecessors no longer sign, but what they signed may still be in use.
	Predecessors []*x509.Certificate
	// Serving and Client are signed by Authority.
	Serving, Client *Pair
}

// Bundle is what others verify us with.
func (m *Material) Bundle() []*x509.Certificate {
	bundle := []*x509.Certificate{m.Authority.Certificate}
	if m.Successor != nil {
		bundle = append(bundle, m.Successor.Certificate)
	}
	return append(bundle, m.Predecessors...)
}

// Renew returns the material that should be in use now, and whether it differs
// from old, which may be nil or lack parts. old is not changed.
func Renew(now time.Time, old *Material, lives Lives, identity Identity) (*Material, bool, error) {
	m := &Material{}
	if old != nil {
		*m = *old
	}
	changed, err := m.renewAuthority(now, lives)
	if err != nil {
		return nil, false, err
	}
	serving := leaf{usage: x509.ExtKeyUsageServerAuth, commonName: "garret-apiserver", identity: identity}
	client := leaf{usage: x509.ExtKeyUsageClientAuth, commonName: identity.ClientName}
	for _, each := range []struct {
		at   **Pair
		want leaf
	}{{&m.Serving, serving}, {&m.Client, client}} {
		if each.want.good(*each.at, m.Authority, now, lives) {
			continue
		}
		if *each.at, err = each.want.sign(m.Authority, now, lives.Leaf); err != nil {
			return nil, false, err
		}
		changed = true
	}
	return m, changed, nil
}

func (m *Material) renewAuthority(now time.Time, lives Lives) (bool, error) {
	changed := false
	var err error
	expired := m.Authority != nil && !now.Before(m.Authority.Certificate.NotAfter)
	if m.Authority == nil || expired && m.Successor == nil {
		if m.Authority, err = newAuthority(now, lives.Authority); err != nil {
			return false, err
		}
		m.Successor, m.Serving, m.Client, changed = nil, nil, nil, true
	}
	if m.Successor != nil && (expired || now.Sub(m.Successor.Certificate.NotBefore) >= lives.Overlap+backdate) {
		m.Predecessors = append(slices.Clone(m.Predecessors), m.Authority.Certificate)
		m.Authority, m.Successor, changed = m.Successor, nil, true
	}
	if m.Successor == nil && m.Authority.Certificate.NotAfter.Sub(now) < lives.Authority/5 {
		if m.Successor, err = newAuthority(now, lives.Authority); err != nil {
			return false, err
		}
		changed = true
	}
	kept := slices.DeleteFunc(slices.Clone(m.Predecessors), func(c *x509.Certificate) bool { return now.After(c.NotAfter) })
	changed = changed || len(kept) != len(m.Predecessors)
	m.Predecessors = kept
	return changed, nil
}

// leaf is what a certificate should be.
type leaf struct {
	usage      x509.ExtKeyUsage
	commonName string
	identity   Identity
}

func (l leaf) good(pair, authority *Pair, now time.Time, lives Lives) bool {
	if pair == nil {
		return false
	}
	c := pair.Certificate
	return c.NotAfter.Sub(now) > lives.Leaf/3 &&
		// A replica whose clock is far ahead would sign what nobody accepts yet.
		!now.Before(c.NotBefore) &&
		c.CheckSignatureFrom(authority.Certificate) == nil &&
		slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{l.usage}) &&
		c.Subject.CommonName == l.commonName &&
		l.names(c)
}

// names tells whether the certificate has all names that are wanted. It may
// have more, until it is renewed: were that wrong, two replicas of which one
// knows a name that the other does not would sign against each other.
func (l leaf) names(c *x509.Certificate) bool {
	for _, name := range l.identity.DNSNames {
		if !slices.Contains(c.DNSNames, name) {
			return false
		}
	}
	for _, ip := range l.identity.IPAddresses {
		if !slices.ContainsFunc(c.IPAddresses, ip.Equal) {
			return false
		}
	}
	return true
}

func (l leaf) sign(authority *Pair, now time.Time, life time.Duration) (*Pair, error) {
	return issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: l.commonName},
		NotBefore:   now.Add(-backdate),
		NotAfter:    earlier(now.Add(life), authority.Certificate.NotAfter),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{l.usage},
		DNSNames:    l.identity.DNSNames,
		IPAddresses: l.identity.IPAddresses,
	}, authority)
}

func newAuthority(now time.Time, life time.Duration) (*Pair, error) {
	return issue(&x509.Certificate{
		// Two authorities with one name would be confused while both are published.
		Subject:               pkix.Name{CommonName: fmt.Sprintf("garret-apiserver-ca@%d", now.Unix())},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(life),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}, nil)
}

// issue makes a key and a certificate for it, signed by authority or by itself.
func issue(template *x509.Certificate, authority *Pair) (*Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key of %s: %w", template.Subject.CommonName, err)
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, fmt.Errorf("serial number of %s: %w", template.Subject.CommonName, err)
	}
	parent, signer := template, crypto.Signer(key)
	if authority != nil {
		parent, signer = authority.Certificate, authority.Key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", template.Subject.CommonName, err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", template.Subject.CommonName, err)
	}
	return &Pair{Certificate: certificate, Key: key}, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// matches says whether key is that of the certificate.
func (p *Pair) matches() error {
	public, ok := p.Certificate.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(p.Key.Public()) {
		return errors.New("certificate and key do not belong together")
	}
	return nil
}
