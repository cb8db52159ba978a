// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/apis/tenancy"
)

// MinKubeconfigExpirationSeconds is the shortest life of a credential that can
// be asked for: shorter ones would end within the skew of two clocks.
const MinKubeconfigExpirationSeconds = 600

// KubeconfigRequest judges a request for a credential. A life that is too long
// is no error: the issuer shortens it and says so.
func KubeconfigRequest(request *tenancy.KubeconfigRequest) field.ErrorList {
	var errs field.ErrorList
	path := field.NewPath("spec")
	if seconds := request.Spec.ExpirationSeconds; seconds != nil && *seconds < MinKubeconfigExpirationSeconds {
		errs = append(errs, field.Invalid(path.Child("expirationSeconds"), *seconds,
			fmt.Sprintf("must be at least %d", MinKubeconfigExpirationSeconds)))
	}
	if server := request.Spec.Server; server != "" {
		if err := ServerURL(server); err != nil {
			errs = append(errs, field.Invalid(path.Child("server"), server, err.Error()))
		}
	}
	return errs
}
