// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

const (
	minLife = time.Minute
	maxLife = 24 * time.Hour

	maxNameLength  = 512
	maxGroups      = 64
	minRSA, maxRSA = 2048, 8192
)

func forbidden(format string, arguments ...any) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: "certificates"}, "", fmt.Errorf(format, arguments...))
}

// parse reads a request and verifies that its sender has the key.
func parse(request []byte) (*x509.CertificateRequest, error) {
	block, rest := pem.Decode(request)
	if block == nil || block.Type != "CERTIFICATE REQUEST" || len(strings.TrimSpace(string(rest))) > 0 {
		return nil, apierrors.NewBadRequest("request is not one PEM encoded certificate request")
	}
	parsed, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, apierrors.NewBadRequest("request is not a certificate request: " + err.Error())
	}
	if err := checkKey(parsed.PublicKey); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if err := parsed.CheckSignature(); err != nil {
		return nil, apierrors.NewBadRequest("request is not signed with its own key: " + err.Error())
	}
	return parsed, nil
}

// checkKey refuses weak keys, and those so large that checking them would be work.
func checkKey(public crypto.PublicKey) error {
	switch key := public.(type) {
	case *rsa.PublicKey:
		if size := key.N.BitLen(); size < minRSA || size > maxRSA {
			return fmt.Errorf("an RSA key of %d bits is not taken: it must have %d to %d", size, minRSA, maxRSA)
		}
	case *ecdsa.PublicKey:
		if size := key.Curve.Params().BitSize; size < 256 {
			return fmt.Errorf("an elliptic curve of %d bits is not taken", size)
		}
	case ed25519.PublicKey:
	default:
		return fmt.Errorf("a key of type %T is not taken", public)
	}
	return nil
}

// subject decides whether the names in a request may be signed, and returns a
// subject that holds them and nothing else.
func subject(asked pkix.Name) (pkix.Name, error) {
	name, groups := asked.CommonName, asked.Organization
	if names := commonNames(asked); names > 1 {
		return pkix.Name{}, forbidden("the subject has %d common names", names)
	}
	if len(name) > maxNameLength || len(groups) > maxGroups {
		return pkix.Name{}, forbidden("the subject is too long")
	}
	switch {
	case name == tenancyv1.RelayUser:
		if len(groups) > 0 {
			return pkix.Name{}, forbidden("%s has no groups", tenancyv1.RelayUser)
		}
	case strings.HasPrefix(name, tenancyv1.HostUserPrefix) && len(name) > len(tenancyv1.HostUserPrefix):
		for _, group := range groups {
			if !strings.HasPrefix(group, tenancyv1.GroupPrefix) || len(group) == len(tenancyv1.GroupPrefix) || len(group) > maxNameLength {
				return pkix.Name{}, forbidden("group %.100q does not begin with %q", group, tenancyv1.GroupPrefix)
			}
		}
	default:
		return pkix.Name{}, forbidden("user %.100q is neither %q nor begins with %q", name, tenancyv1.RelayUser, tenancyv1.HostUserPrefix)
	}
	return pkix.Name{CommonName: name, Organization: groups}, nil
}

// commonNames counts them: Go keeps the last, others may keep the first.
func commonNames(name pkix.Name) int {
	count := 0
	for _, attribute := range name.Names {
		if attribute.Type.Equal([]int{2, 5, 4, 3}) {
			count++
		}
	}
	return count
}

// life checks the life that is asked for. It comes in seconds, and is compared
// as such: as a duration, a large one would overflow.
func life(seconds int64) (time.Duration, error) {
	if seconds < int64(minLife/time.Second) || seconds > int64(maxLife/time.Second) {
		return 0, apierrors.NewBadRequest(fmt.Sprintf("expirationSeconds is %d: it must be from %d to %d",
			seconds, int64(minLife/time.Second), int64(maxLife/time.Second)))
	}
	return time.Duration(seconds) * time.Second, nil
}
