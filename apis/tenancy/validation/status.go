// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/apis/tenancy"
)

// StatusUpdate judges a change of the status.
func StatusUpdate(vc, old *tenancy.VirtualCluster) field.ErrorList {
	errs := apivalidation.ValidateObjectMetaUpdate(&vc.ObjectMeta, &old.ObjectMeta, field.NewPath("metadata"))
	path := field.NewPath("status")
	status := &vc.Status
	errs = append(errs, metav1validation.ValidateConditions(status.Conditions, path.Child("conditions"))...)
	if status.Endpoint != "" {
		if err := ServerURL(status.Endpoint); err != nil {
			errs = append(errs, field.Invalid(path.Child("endpoint"), status.Endpoint, err.Error()))
		}
	}
	if len(status.CertificateAuthorityData) > 0 {
		if err := certificates(status.CertificateAuthorityData); err != nil {
			errs = append(errs, field.Invalid(path.Child("certificateAuthorityData"), "", err.Error()))
		}
	}
	return errs
}

// ServerURL says what is wrong with the address of an API server.
func ServerURL(address string) error {
	parsed, err := url.Parse(address)
	switch {
	case err != nil:
		return errors.New("must be an address such as https://host:6443")
	case parsed.Scheme != "https" || parsed.Host == "" || parsed.Opaque != "":
		return errors.New("must begin with https:// and name a host")
	case parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "":
		return errors.New("must hold neither user, query nor fragment")
	}
	return nil
}

func certificates(bundle []byte) error {
	count := 0
	for rest := bundle; ; count++ {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("must hold certificates only, not a %s", block.Type)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("certificate %d: %w", count+1, err)
		}
	}
	if count == 0 {
		return errors.New("must be PEM encoded certificates")
	}
	return nil
}
