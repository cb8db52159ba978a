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
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validation/path"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

const (
	minLife = time.Minute
	maxLife = 24 * time.Hour

	maxNameLength  = 512
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
			return fmt.Errorf("an RSA key of %d bits is not allowed: it must have %d to %d", size, minRSA, maxRSA)
		}
	case *ecdsa.PublicKey:
		if size := key.Curve.Params().BitSize; size < 256 {
			return fmt.Errorf("an elliptic curve of %d bits is not allowed", size)
		}
	case ed25519.PublicKey:
	default:
		return fmt.Errorf("a key of type %T is not allowed", public)
	}
	return nil
}

// subject decides whether the names in a request may be signed, and returns a
// subject that holds them and nothing else.
func subject(asked *x509.CertificateRequest, kubeconfig *tenancyv1.KubeconfigGrant) (pkix.Name, error) {
	if names := commonNames(asked.Subject); names > 1 {
		return pkix.Name{}, forbidden("the subject has %d common names", names)
	}
	names := pkix.Name{CommonName: tenancyv1.RelayUser}
	if kubeconfig != nil {
		if err := checkGrant(kubeconfig, asked.PublicKey); err != nil {
			return pkix.Name{}, err
		}
		names = pkix.Name{CommonName: kubeconfig.User(), Organization: []string{kubeconfig.Group()}}
	}
	// The names follow from the grant. A request that has others was made by
	// somebody who thinks that they would get those.
	if asked.Subject.CommonName != names.CommonName {
		return pkix.Name{}, forbidden("the user is %.100q: it must be %q", asked.Subject.CommonName, names.CommonName)
	}
	if !slices.Equal(asked.Subject.Organization, names.Organization) {
		return pkix.Name{}, forbidden("the groups of %.100q are %.200q: they must be %q", names.CommonName, asked.Subject.Organization, names.Organization)
	}
	return names, nil
}

// checkGrant holds a grant to what garret-apiserver itself may say of a user.
func checkGrant(grant *tenancyv1.KubeconfigGrant, public crypto.PublicKey) error {
	id, err := tenancyv1.CredentialID(public)
	if err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	if grant.ID != id {
		return forbidden("the id %.100q does not match the key, whose id is %q", grant.ID, id)
	}
	user := grant.HostUser
	if user == "" || len(user) > maxNameLength || !utf8.ValidString(user) || strings.TrimSpace(user) != user || strings.ContainsFunc(user, unicode.IsControl) {
		return forbidden("%.100q is not the name of a user of the host", user)
	}
	if grant.ClusterRole == "" {
		return nil
	}
	if problems := path.ValidatePathSegmentName(grant.ClusterRole, false); len(problems) > 0 || len(grant.ClusterRole) > maxNameLength {
		problem := field.Invalid(field.NewPath("clusterRole"), grant.ClusterRole, "is not a valid name of a ClusterRole: "+strings.Join(problems, ", "))
		return apierrors.NewInvalid(schema.GroupKind{Group: tenancyv1.GroupName, Kind: "CertificateRequest"}, grant.ID, field.ErrorList{problem})
	}
	return nil
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
