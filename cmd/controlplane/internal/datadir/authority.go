package datadir

import (
	"bytes"
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
	"os"
	"time"

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// Names of the authorities, as files without extension.
const (
	ServerCA        = "server-ca"
	ClientCA        = "client-ca"
	RequestHeaderCA = "request-header-ca"
	// KubeletCA is between the API server and kubelets, both ways.
	KubeletCA = "kubelet-ca"
)

// authorities are all of them.
func authorities() []string { return append(sharedAuthorities(), KubeletCA) }

// sharedAuthorities are those that all servers of a cluster have the same of. Who is
// between a server and its kubelets is nobody else's to know.
func sharedAuthorities() []string { return []string{ServerCA, ClientCA, RequestHeaderCA} }

const authorityLife = 10 * 365 * 24 * time.Hour

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	// chain is the PEM that a server sends after its own certificate: empty
	// when the authority is its own root.
	chain []byte
}

// authority loads the named authority, or makes it when there is none. A
// certificate without its key, or the reverse, is an error: making the missing
// half would silently replace an identity that clients have pinned.
func (l Layout) authority(name string, now time.Time) (*authority, error) {
	hasCert, err := exists(l.Cert(name))
	if err != nil {
		return nil, err
	}
	hasKey, err := exists(l.Key(name))
	if err != nil {
		return nil, err
	}
	switch {
	case hasKey && !hasCert && !l.operatorOwned(name):
		// The key is written first, so this is a start that was killed
		// between the two writes.
	case hasCert != hasKey:
		return nil, fmt.Errorf("certificate authority %s: %s and %s must both be there, or neither", name, l.Cert(name), l.Key(name))
	}
	if !hasCert {
		if err := l.makeAuthority(name, now); err != nil {
			return nil, fmt.Errorf("certificate authority %s: %w", name, err)
		}
	}
	a, err := l.loadAuthority(name, now)
	if err != nil {
		return nil, fmt.Errorf("certificate authority %s: %w", name, err)
	}
	return a, nil
}

// operatorOwned tells a key that an operator has put there from one that an
// interrupted first start left: the latter is marked until its pair is whole.
func (l Layout) operatorOwned(name string) bool {
	_, err := os.Stat(l.tls("." + name + ".incomplete"))
	return errors.Is(err, fs.ErrNotExist)
}

func (l Layout) makeAuthority(name string, now time.Time) error {
	mark := l.tls("." + name + ".incomplete")
	if err := WriteFile(mark, nil, 0o600); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := serialNumber()
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		// The time keeps authorities of two clusters apart for tools that
		// look them up by subject.
		Subject:               pkix.Name{CommonName: fmt.Sprintf("%s@%d", name, now.Unix())},
		NotBefore:             now.Add(-time.Minute).UTC(),
		NotAfter:              now.Add(authorityLife).UTC(),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	if err := writeKey(l.Key(name), key); err != nil {
		return err
	}
	if err := WriteFile(l.Cert(name), encodeCert(der), 0o644); err != nil {
		return err
	}
	return os.Remove(mark)
}

func (l Layout) loadAuthority(name string, now time.Time) (*authority, error) {
	certPEM, err := os.ReadFile(l.Cert(name))
	if err != nil {
		return nil, err
	}
	certs, err := cert.ParseCertsPEM(certPEM)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.Cert(name), err)
	}
	key, err := readKey(l.Key(name))
	if err != nil {
		return nil, err
	}
	first := certs[0]
	switch {
	case !first.IsCA:
		return nil, fmt.Errorf("%s: the first certificate is not one of an authority", l.Cert(name))
	case !publicKeysEqual(first.PublicKey, key.Public()):
		return nil, fmt.Errorf("%s does not belong to the first certificate of %s", l.Key(name), l.Cert(name))
	case now.After(first.NotAfter):
		return nil, fmt.Errorf("%s: expired on %s", l.Cert(name), first.NotAfter.Format(time.DateOnly))
	}
	a := &authority{cert: first, key: key}
	if !bytes.Equal(first.RawIssuer, first.RawSubject) {
		a.chain = encodeCert(first.Raw)
		for _, c := range certs[1:] {
			a.chain = append(a.chain, encodeCert(c.Raw)...)
		}
	}
	if name == RequestHeaderCA {
		return a, nil
	}
	// Signers need a file that holds exactly the certificate of their key.
	return a, writeIfChanged(l.Cert(name+".nochain"), encodeCert(first.Raw), 0o644)
}

// CA is the PEM of the named authority's certificates.
func (l Layout) CA(name string) ([]byte, error) {
	raw, err := os.ReadFile(l.Cert(name))
	if err != nil {
		return nil, fmt.Errorf("certificate authority %s: %w", name, err)
	}
	return raw, nil
}

func writeIfChanged(path string, content []byte, mode os.FileMode) error {
	if current, err := os.ReadFile(path); err == nil && bytes.Equal(current, content) {
		return nil
	}
	return WriteFile(path, content, mode)
}

func serialNumber() (*big.Int, error) {
	// 127 random bits: positive, and unique without a register of numbers.
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
}

func encodeCert(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func writeKey(path string, key crypto.Signer) error {
	der, err := x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey))
	if err != nil {
		return err
	}
	return WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: keyutil.ECPrivateKeyBlockType, Bytes: der}), 0o600)
}

func readKey(path string) (crypto.Signer, error) {
	parsed, err := keyutil.PrivateKeyFromFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s: a %T cannot sign", path, parsed)
	}
	return key, nil
}

func publicKeysEqual(a, b crypto.PublicKey) bool {
	comparable, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && comparable.Equal(b)
}
