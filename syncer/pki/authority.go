// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// backdate covers clocks that are a little behind.
const backdate = time.Minute

// Authority is a certificate authority in a pair of files. It is safe for
// concurrent use.
type Authority struct {
	certFile, keyFile string

	mutex               sync.Mutex
	certStamp, keyStamp stamp
	signer              *signer
}

// signer is what the files held at one time.
type signer struct {
	certificate *x509.Certificate
	key         crypto.Signer
	// bundle is the whole certificate file: a custom authority may come with those above it.
	bundle []byte
}

// ServerAuthority signs the certificates of servers in the virtual cluster.
func ServerAuthority(dataDir string) *Authority { return newAuthority(dataDir, "server-ca") }

// ClientAuthority signs the certificates that its API server takes for users.
func ClientAuthority(dataDir string) *Authority { return newAuthority(dataDir, "client-ca") }

// KubeletAuthority signs the certificates of kubelets, and the one with which the API
// server inside calls them. Garret's own control plane has it, k3s has not.
func KubeletAuthority(dataDir string) *Authority { return newAuthority(dataDir, "kubelet-ca") }

// FrontProxyAuthority signs the certificate with which the API server inside calls the
// servers of APIServices.
func FrontProxyAuthority(dataDir string) *Authority {
	return newAuthority(dataDir, "request-header-ca")
}

// Exists says whether the control plane has the authority.
func (a *Authority) Exists() bool {
	_, err := stampOf(a.certFile)
	return err == nil
}

func newAuthority(dataDir, name string) *Authority {
	base := filepath.Join(dataDir, "server", "tls", name)
	return &Authority{certFile: base + ".crt", keyFile: base + ".key"}
}

// CertificateFile is where the authority's certificate lies.
func (a *Authority) CertificateFile() string { return a.certFile }

// Bundle returns the authority's certificates in PEM.
func (a *Authority) Bundle() ([]byte, error) {
	s, err := a.current()
	if err != nil {
		return nil, err
	}
	return s.bundle, nil
}

// Sign issues the certificate that the template describes for a public key, and
// returns it in DER. Serial number and validity up to the template's NotAfter are set
// here; it never outlives the authority.
func (a *Authority) Sign(template *x509.Certificate, public crypto.PublicKey) ([]byte, error) {
	s, err := a.current()
	if err != nil {
		return nil, err
	}
	return s.sign(template, public)
}

func (s *signer) sign(template *x509.Certificate, public crypto.PublicKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("serial number: %w", err)
	}
	issued := *template
	issued.SerialNumber = serial.Add(serial, big.NewInt(1))
	if issued.NotAfter.After(s.certificate.NotAfter) {
		issued.NotAfter = s.certificate.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, &issued, s.certificate, public, s.key)
	if err != nil {
		return nil, fmt.Errorf("sign certificate of %q: %w", template.Subject.CommonName, err)
	}
	return der, nil
}

// current returns what the files hold now.
func (a *Authority) current() (*signer, error) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	certStamp, err := stampOf(a.certFile)
	if err != nil {
		return nil, err
	}
	keyStamp, err := stampOf(a.keyFile)
	if err != nil {
		return nil, err
	}
	if a.signer != nil && certStamp == a.certStamp && keyStamp == a.keyStamp {
		return a.signer, nil
	}
	s, err := load(a.certFile, a.keyFile)
	if err != nil {
		return nil, err
	}
	a.signer, a.certStamp, a.keyStamp = s, certStamp, keyStamp
	return s, nil
}

func load(certFile, keyFile string) (*signer, error) {
	bundle, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	certificates, err := cert.ParseCertsPEM(bundle)
	if err != nil {
		return nil, fmt.Errorf("certificate authority %s: %w", certFile, err)
	}
	private, err := keyutil.PrivateKeyFromFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	key, ok := private.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("certificate authority %s: a key of type %T cannot sign", keyFile, private)
	}
	for _, certificate := range certificates {
		if samePublicKey(certificate.PublicKey, key.Public()) {
			return &signer{certificate, key, bundle}, nil
		}
	}
	return nil, fmt.Errorf("certificate authority %s: none of %d certificates belongs to %s", certFile, len(certificates), keyFile)
}

// samePublicKey compares keys of whatever type the standard library knows.
func samePublicKey(a, b crypto.PublicKey) bool {
	key, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(b)
}

// EncodeCertificate returns a certificate in PEM.
func EncodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: cert.CertificateBlockType, Bytes: der})
}
