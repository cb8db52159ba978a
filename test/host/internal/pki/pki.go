// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pki makes the certificate authorities, certificates and key pairs of
// a host cluster and keeps them in one folder.
//
// Keys are ECDSA P-256: made in well under a millisecond, where an RSA key of
// the same strength costs a good part of the time in which a whole host starts.
// Everything is written 0600, and whatever exists already is used as it is, so
// that a host which is started again keeps its identity.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	// caLife outlives any test host by far.
	caLife = 10 * 365 * 24 * time.Hour
	// leafLife is the life of every certificate that an authority signs.
	leafLife = 365 * 24 * time.Hour
	// clockSkew is how far a certificate's start is set back.
	clockSkew = 5 * time.Minute
)

// Authority signs certificates. Its certificate lies at Path(name + ".crt").
type Authority struct {
	dir  string
	name string
	cert *x509.Certificate
	key  crypto.Signer
}

// Leaf says what a certificate is for. With no Hosts it is a client's.
type Leaf struct {
	CommonName    string
	Organizations []string
	// Hosts are the DNS names and IP addresses of a server's certificate.
	Hosts []string
}

// OpenAuthority loads the authority of that name from dir, or makes it.
func OpenAuthority(dir, name string) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("authority %s: %w", name, err)
	}
	a := &Authority{dir: dir, name: name}
	key, err := openKey(a.KeyFile())
	if err != nil {
		return nil, fmt.Errorf("authority %s: %w", name, err)
	}
	a.key = key
	if a.cert, err = readCertificate(a.CertFile()); err == nil {
		return a, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("authority %s: %w", name, err)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-clockSkew),
		NotAfter:              time.Now().Add(caLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := create(template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("authority %s: %w", name, err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("authority %s: %w", name, err)
	}
	if err := writePEM(a.CertFile(), "CERTIFICATE", der); err != nil {
		return nil, fmt.Errorf("authority %s: %w", name, err)
	}
	return a, nil
}

// CertFile is the path of the authority's own certificate.
func (a *Authority) CertFile() string { return filepath.Join(a.dir, a.name+".crt") }

// KeyFile is the path of the authority's private key.
func (a *Authority) KeyFile() string { return filepath.Join(a.dir, a.name+".key") }

// Pair is where a certificate and its key lie.
type Pair struct{ Cert, Key string }

// Issue makes the certificate file.crt with its key file.key beside the
// authority's own. One that exists already stays, unless it lacks a host that
// leaf names or ends within a day.
func (a *Authority) Issue(file string, leaf Leaf) (Pair, error) {
	pair := Pair{Cert: filepath.Join(a.dir, file+".crt"), Key: filepath.Join(a.dir, file+".key")}
	if have, err := readCertificate(pair.Cert); err == nil && covers(have, leaf) && have.CheckSignatureFrom(a.cert) == nil {
		return pair, nil
	}
	key, err := openKey(pair.Key)
	if err != nil {
		return Pair{}, fmt.Errorf("certificate %s: %w", file, err)
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: leaf.CommonName, Organization: leaf.Organizations},
		NotBefore:   time.Now().Add(-clockSkew),
		NotAfter:    time.Now().Add(leafLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if len(leaf.Hosts) > 0 {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	for _, host := range leaf.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := create(template, a.cert, key.Public(), a.key)
	if err != nil {
		return Pair{}, fmt.Errorf("certificate %s: %w", file, err)
	}
	if err := writePEM(pair.Cert, "CERTIFICATE", der); err != nil {
		return Pair{}, fmt.Errorf("certificate %s: %w", file, err)
	}
	return pair, nil
}

// OpenKeyPair makes (or finds) a bare key pair: dir/name.key with the private
// half and dir/name.pub with the public one.
func OpenKeyPair(dir, name string) (private, public string, err error) {
	private, public = filepath.Join(dir, name+".key"), filepath.Join(dir, name+".pub")
	key, err := openKey(private)
	if err != nil {
		return "", "", fmt.Errorf("key pair %s: %w", name, err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return "", "", fmt.Errorf("key pair %s: %w", name, err)
	}
	if err := writePEM(public, "PUBLIC KEY", der); err != nil {
		return "", "", fmt.Errorf("key pair %s: %w", name, err)
	}
	return private, public, nil
}

// covers tells whether cert may go on serving as leaf.
func covers(cert *x509.Certificate, leaf Leaf) bool {
	if cert.Subject.CommonName != leaf.CommonName || time.Until(cert.NotAfter) < 24*time.Hour {
		return false
	}
	if len(cert.Subject.Organization) != len(leaf.Organizations) {
		return false
	}
	for i, o := range leaf.Organizations {
		if cert.Subject.Organization[i] != o {
			return false
		}
	}
	for _, host := range leaf.Hosts {
		if cert.VerifyHostname(host) != nil {
			return false
		}
	}
	return true
}

func create(template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	return x509.CreateCertificate(rand.Reader, template, parent, public, signer)
}

// openKey reads a private key, or makes it where there is none.
func openKey(file string) (crypto.Signer, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			return nil, err
		}
		return key, writePEM(file, "EC PRIVATE KEY", der)
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", file)
	}
	return x509.ParseECPrivateKey(block.Bytes)
}

func readCertificate(file string) (*x509.Certificate, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", file)
	}
	return x509.ParseCertificate(block.Bytes)
}

func writePEM(file, kind string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
