// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// reasonRefused is the reason of Events about what the host's API server refused.
const reasonRefused = "HostRefused"

// hostError marks an error of the host, so that it is not taken for one of the
// virtual cluster's own API server.
type hostError struct{ error }

func (e hostError) Unwrap() error { return e.error }

// onHost marks an error of doing something on the host.
func onHost(doing string, err error) error {
	return hostError{fmt.Errorf("%s on the host: %w", doing, err)}
}

// refusal says whether an error means that the host, or the translation, will
// not have the object as it is, and words it for the tenant.
func refusal(err error) (reason, message string, refused bool) {
	var own *refusedError
	if errors.As(err, &own) {
		return own.reason, own.message, true
	}
	var host hostError
	var status apierrors.APIStatus
	if !errors.As(err, &host) || !errors.As(host.error, &status) {
		return "", "", false
	}
	switch status.Status().Reason {
	case metav1.StatusReasonForbidden, metav1.StatusReasonInvalid, metav1.StatusReasonBadRequest,
		metav1.StatusReasonRequestEntityTooLarge, metav1.StatusReasonMethodNotAllowed:
		return reasonRefused, "The host cluster refused it: " + status.Status().Message, true
	}
	return "", "", false
}
