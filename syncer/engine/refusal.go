// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// reasonRefused is the reason of Events about what the host's API server refused.
const reasonRefused = "HostRefused"

// refusal says whether an error means that the host, or the translation, will
// not have the object as it is, and words it for the tenant.
func refusal(err error) (reason, message string, refused bool) {
	var own *refusedError
	if errors.As(err, &own) {
		return own.reason, own.message, true
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return "", "", false
	}
	switch status.Status().Reason {
	case metav1.StatusReasonForbidden, metav1.StatusReasonInvalid, metav1.StatusReasonBadRequest,
		metav1.StatusReasonRequestEntityTooLarge, metav1.StatusReasonMethodNotAllowed:
		return reasonRefused, "The host cluster refused it: " + status.Status().Message, true
	}
	return "", "", false
}
