// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package projected

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
)

// makers make a private key of each type that a projection may name.
func makers() map[string]func() (crypto.Signer, error) {
	ofRSA := func(bits int) func() (crypto.Signer, error) {
		return func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, bits) }
	}
	ofCurve := func(curve elliptic.Curve) func() (crypto.Signer, error) {
		return func() (crypto.Signer, error) { return ecdsa.GenerateKey(curve, rand.Reader) }
	}
	return map[string]func() (crypto.Signer, error){
		"RSA3072": ofRSA(3072), "RSA4096": ofRSA(4096),
		"ECDSAP256": ofCurve(elliptic.P256()), "ECDSAP384": ofCurve(elliptic.P384()), "ECDSAP521": ofCurve(elliptic.P521()),
		"ED25519": func() (crypto.Signer, error) {
			_, key, err := ed25519.GenerateKey(rand.Reader)
			return key, err
		},
	}
}

// newKey makes a private key as PEM, and a PKCS#10 request without a subject that
// proves its possession. Who the pod is, the request's other fields say.
func newKey(kind string) (key, proof []byte, err error) {
	maker, known := makers()[kind]
	if !known {
		return nil, nil, missingError(fmt.Sprintf("the keyType %q is unknown", kind))
	}
	signer, err := maker()
	if err != nil {
		return nil, nil, fmt.Errorf("private key: %w", err)
	}
	if proof, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, signer); err != nil {
		return nil, nil, fmt.Errorf("proof of possession: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return nil, nil, fmt.Errorf("private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), proof, nil
}
