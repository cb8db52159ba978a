// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"errors"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"garret.dev/garret/pkg/release"
)

// Reasons of the condition Ready and of events, besides those that the host's
// kubelet and scheduler give, which are passed on as they are.
const (
	reasonReady             = "Ready"
	reasonDeploying         = "Deploying"
	reasonStarting          = "Starting"
	reasonRollingOut        = "RollingOut"
	reasonTerminating       = "Terminating"
	reasonPodNotReady       = "PodNotReady"
	reasonPodTerminating    = "PodTerminating"
	reasonHostNotReady      = "HostNotReady"
	reasonInvalidValues     = "InvalidValues"
	reasonInvalidSpec       = "InvalidSpec"
	reasonNameTaken         = "NameTaken"
	reasonQuotaExceeded     = "QuotaExceeded"
	reasonForbidden         = "Forbidden"
	reasonNamespaceEnding   = "NamespaceTerminating"
	reasonDeployFailed      = "DeployFailed"
	reasonPodRefused        = "PodRefused"
	reasonVolumePending     = "VolumePending"
	reasonKindNotServed     = "KindNotServed"
	reasonDatastoreNotFound = "DatastoreSecretNotFound"
	reasonUnreachable       = "APIUnreachable"
	reasonWaking            = "Waking"
	reasonTooLong           = "ProgressDeadlineExceeded"
)

// Reasons of events that are about no trouble of the control plane.
const (
	reasonTakenUp   = "RetainedDataTakenUp"
	reasonIDRefused = "RetainedIDRefused"
	// reasonPodsForced is that of pods that did not end in their time.
	reasonPodsForced = "PodsDeletedByForce"
	// reasonBudget is that of pods that a PodDisruptionBudget of the host keeps.
	reasonBudget = "EvictionRefused"
	// reasonWoken is that of a virtual cluster that is woken, and says by whom.
	reasonWoken = "Woken"
	// reasonUnguarded is that of Services whose connections do not wake the virtual cluster.
	reasonUnguarded = "TrafficDoesNotWake"
	// reasonUnused is that of a virtual cluster that is deleted because nobody uses it.
	reasonUnused = "DeletedUnused"
	// reasonForeignRecords is that of records that this Garret did not write.
	reasonForeignRecords = "ForeignReleaseRecords"
)

// trouble is why a virtual cluster is not ready, said so that its owner can act.
type trouble struct {
	Reason, Message string
	// final: time alone will not help.
	final bool
	// retry: nothing that is watched will tell when it is over.
	retry bool
	// progress: not a trouble, but how far things have come.
	progress bool
}

func (t *trouble) Error() string { return t.Reason + ": " + t.Message }

// deployTrouble tells from an error of a release what the owner can do about it.
// Helm passes some of the host's errors on as text only.
func deployTrouble(err error) *trouble {
	var known *trouble
	text := err.Error()
	switch {
	case errors.As(err, &known):
		return known
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) || strings.Contains(text, "because it is being terminated"):
		return &trouble{Reason: reasonNamespaceEnding, Message: "the host is deleting the namespace, and creates nothing in it", final: true}
	case errors.Is(err, release.ErrForeign) || strings.Contains(text, "invalid ownership metadata"):
		return &trouble{Reason: reasonNameTaken, Message: text, final: true, retry: true}
	case strings.Contains(text, "exceeded quota"):
		return &trouble{Reason: reasonQuotaExceeded, Message: text, retry: true}
	case apierrors.IsInvalid(err) || strings.Contains(text, "is invalid:") || strings.Contains(text, "don't meet the specifications of the schema"):
		return &trouble{Reason: reasonInvalidSpec, Message: text, final: true, retry: true}
	case apierrors.IsForbidden(err) || strings.Contains(text, " is forbidden:"):
		return &trouble{Reason: reasonForbidden, Message: text, retry: true}
	default:
		return &trouble{Reason: reasonDeployFailed, Message: text, retry: true}
	}
}
