// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// Keys of the Secret. The serving pair has the names of a kubernetes.io/tls Secret.
const (
	keyAuthority    = "ca"
	keySuccessor    = "next-ca"
	keyServing      = "tls"
	keyClient       = "client"
	keyPredecessors = "previous-ca.crt"

	certificateSuffix = ".crt"
	privateKeySuffix  = ".key"
)

// encode turns the material into the data of a Secret.
func encode(m *Material) (map[string][]byte, error) {
	data := map[string][]byte{}
	for name, pair := range map[string]*Pair{
		keyAuthority: m.Authority, keySuccessor: m.Successor, keyServing: m.Serving, keyClient: m.Client,
	} {
		if pair == nil {
			continue
		}
		key, err := encodeKey(pair.Key)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		data[name+certificateSuffix] = encodeCertificates(pair.Certificate)
		data[name+privateKeySuffix] = key
	}
	if len(m.Predecessors) > 0 {
		data[keyPredecessors] = encodeCertificates(m.Predecessors...)
	}
	return data, nil
}

// decode reads the data of a Secret. Only the authority, and its successor if
// there is one, must be whole: a leaf that cannot be read counts as missing, and
// is made again from the authority that everybody knows.
func decode(data map[string][]byte) (*Material, error) {
	m := &Material{}
	var err error
	for name, at := range map[string]**Pair{keyAuthority: &m.Authority, keySuccessor: &m.Successor} {
		if len(data[name+certificateSuffix]) == 0 {
			continue
		}
		if *at, err = decodePair(data[name+certificateSuffix], data[name+privateKeySuffix]); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if !(*at).Certificate.IsCA {
			return nil, fmt.Errorf("%s: the certificate is not that of an authority", name)
		}
	}
	for name, at := range map[string]**Pair{keyServing: &m.Serving, keyClient: &m.Client} {
		if pair, err := decodePair(data[name+certificateSuffix], data[name+privateKeySuffix]); err == nil {
			*at = pair
		}
	}
	if m.Authority == nil {
		return nil, errors.New("holds no certificate authority")
	}
	if previous := data[keyPredecessors]; len(previous) > 0 {
		if m.Predecessors, err = decodeCertificates(previous); err != nil {
			return nil, fmt.Errorf("%s: %w", keyPredecessors, err)
		}
	}
	return m, nil
}

func decodePair(certificate, key []byte) (*Pair, error) {
	certificates, err := decodeCertificates(certificate)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(key)
	if block == nil {
		return nil, errors.New("the key is not PEM encoded")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		// The error of the parser could describe the key: leave it out.
		return nil, errors.New("the key is not a PKCS#8 key")
	}
	signer, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("the key is of type %T, which cannot sign", parsed)
	}
	pair := &Pair{Certificate: certificates[0], Key: signer}
	return pair, pair.matches()
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func encodeCertificates(certificates ...*x509.Certificate) []byte {
	var out []byte
	for _, certificate := range certificates {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})...)
	}
	return out
}

func decodeCertificates(data []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("parse certificate: %w", err)
		}
		out = append(out, certificate)
	}
	if len(out) == 0 {
		return nil, errors.New("the certificate is not PEM encoded")
	}
	return out, nil
}
