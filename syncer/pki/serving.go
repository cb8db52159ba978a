// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Validity is how long a serving certificate is good for. It is replaced when
// two thirds are over; servers hold none for longer, whatever their age.
const Validity = 7 * 24 * time.Hour

// Serving is the certificate of one of the syncer's servers. It is made when it
// is first asked for, and made again when it ages or its authority changes.
type Serving struct {
	authority *Authority
	name      string
	hosts     []string
	clock     clock.PassiveClock

	mutex       sync.Mutex
	signer      *signer
	renew       time.Time
	certificate *tls.Certificate
}

// NewServing returns a certificate of that common name for the hosts, which are
// names and addresses.
func NewServing(authority *Authority, name string, hosts []string, clock clock.PassiveClock) *Serving {
	return &Serving{authority: authority, name: name, hosts: hosts, clock: clock}
}

// GetCertificate is for tls.Config.
func (s *Serving) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	signer, err := s.authority.current()
	if err != nil {
		return nil, err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	now := s.clock.Now()
	if s.certificate != nil && s.signer == signer && now.Before(s.renew) {
		return s.certificate, nil
	}
	certificate, err := s.issue(signer, now)
	if err != nil {
		return nil, err
	}
	s.signer, s.certificate = signer, certificate
	s.renew = now.Add(certificate.Leaf.NotAfter.Sub(now) * 2 / 3)
	return certificate, nil
}

func (s *Serving) issue(signer *signer, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key of %s: %w", s.name, err)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: s.name},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(Validity),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, host := range s.hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else if host != "" {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := signer.sign(template, key.Public())
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", s.name, err)
	}
	return &tls.Certificate{Certificate: [][]byte{der, signer.certificate.Raw}, PrivateKey: key, Leaf: leaf}, nil
}
