// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pkitest makes real authorities and certificates for tests.
package pkitest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/util/keyutil"
)

// Authority is a certificate authority.
type Authority struct {
	Certificate *x509.Certificate
	Key         *ecdsa.PrivateKey
}

// NewAuthority makes an authority that is good for a day before and a hundred days after now.
func NewAuthority(t testing.TB, name string) *Authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(100 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatalf("create authority %s: %v", name, err)
	}
	return &Authority{Certificate: parse(t, der), Key: key}
}

// PEM is the authority's certificate.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate.Raw})
}

// Pool holds the authority alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Certificate)
	return pool
}

// Client makes a client certificate of the subject.
func (a *Authority) Client(t testing.TB, subject pkix.Name) tls.Certificate {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: subject,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.Certificate, key.Public(), a.Key)
	if err != nil {
		t.Fatalf("create client certificate: %v", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: parse(t, der)}
}

// DataDir is a control plane's data directory with its authorities.
type DataDir struct {
	Path                       string
	Server, Client, FrontProxy *Authority
	// Kubelet is the authority that only Garret's own control plane has.
	Kubelet *Authority
}

// NewDataDir makes a data directory in the layout of k3s.
func NewDataDir(t testing.TB) *DataDir {
	t.Helper()
	d := &DataDir{Path: t.TempDir(), Server: NewAuthority(t, "server-ca"), Client: NewAuthority(t, "client-ca"), FrontProxy: NewAuthority(t, "request-header-ca")}
	d.Write(t)
	return d
}

// NewOwnDataDir makes one in the layout of Garret's own control plane.
func NewOwnDataDir(t testing.TB) *DataDir {
	t.Helper()
	d := NewDataDir(t)
	d.Kubelet = NewAuthority(t, "kubelet-ca")
	d.Write(t)
	return d
}

// Write writes the authorities to the data directory.
func (d *DataDir) Write(t testing.TB) {
	t.Helper()
	folder := filepath.Join(d.Path, "server", "tls")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, authority := range map[string]*Authority{"server-ca": d.Server, "client-ca": d.Client, "kubelet-ca": d.Kubelet, "request-header-ca": d.FrontProxy} {
		if authority == nil {
			continue
		}
		key, err := keyutil.MarshalPrivateKeyToPEM(authority.Key)
		if err != nil {
			t.Fatal(err)
		}
		WriteFile(t, filepath.Join(folder, name+".crt"), authority.PEM())
		WriteFile(t, filepath.Join(folder, name+".key"), key)
	}
}

// WriteFile replaces a file as a kubelet or a control plane does, by a rename.
func WriteFile(t testing.TB, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("generate key: %v", err)
	}
	return key
}

// Request makes a PEM encoded certificate request.
func Request(t testing.TB, template x509.CertificateRequest, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
	if err != nil {
		t.Fatalf("create certificate request: %v", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func parse(t testing.TB, der []byte) *x509.Certificate {
	t.Helper()
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("parse certificate: %v", err)
	}
	return certificate
}
