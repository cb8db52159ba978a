// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

const (
	// retryNotReady is after how many seconds it is worth asking again a virtual
	// cluster that comes up.
	retryNotReady = 2
	// notSoon stands for a virtual cluster that will not come up by itself.
	notSoon = 0
)

// Enterable tells whether the API server inside can be asked, as an API error
// when it cannot: 503, with the reason that the status gives.
func Enterable(cluster *tenancy.VirtualCluster) error {
	return require(cluster, v1.ConditionControlPlaneReady)
}

// Ready tells whether the whole virtual cluster is up, as an API error when it
// is not.
func Ready(cluster *tenancy.VirtualCluster) error {
	return require(cluster, v1.ConditionReady)
}

func require(cluster *tenancy.VirtualCluster, conditionType string) error {
	if meta.IsStatusConditionTrue(cluster.Status.Conditions, v1.ConditionAsleep) {
		return Asleep(cluster)
	}
	if !meta.IsStatusConditionTrue(cluster.Status.Conditions, conditionType) {
		reason, message := whyNot(cluster, conditionType)
		return Unavailable(cluster, retryIn(cluster), reason, message)
	}
	if len(cluster.Status.CertificateAuthorityData) == 0 {
		return Unavailable(cluster, retryNotReady, "NoCertificateAuthority", "its syncer has not reported the certificate authority yet")
	}
	return nil
}

// Asleep is the API error of a virtual cluster that sleeps, and that the request does not
// wake. What its syncer last reported is outdated.
func Asleep(cluster *tenancy.VirtualCluster) error {
	reason, message := whyNot(cluster, v1.ConditionReady)
	return Unavailable(cluster, notSoon, reason, message)
}

// Unwoken is the same as Enterable, for a request that spec.sleep.ignore keeps from waking
// the virtual cluster.
func Unwoken(cluster *tenancy.VirtualCluster) error {
	err := Enterable(cluster)
	if status := new(apierrors.StatusError); errors.As(err, &status) {
		status.ErrStatus.Message += "; by spec.sleep.ignore this request does not wake it"
	}
	return err
}

// retryIn is after how many seconds to ask again. Clients repeat a request that
// often silently, so nobody is sent to wait for what takes
// somebody's action: kubectl would look as if it hung for more than a minute.
func retryIn(cluster *tenancy.VirtualCluster) int32 {
	if meta.IsStatusConditionTrue(cluster.Status.Conditions, v1.ConditionStalled) {
		return notSoon
	}
	switch v1.Phase(cluster.Status.Phase) {
	case "", v1.PhasePending, v1.PhaseDeploying, v1.PhaseWaking, v1.PhaseReady:
		return retryNotReady
	}
	return notSoon
}

// whyNot takes the reason from the condition asked for, or from the one that
// sums everything up when nobody reported the first.
func whyNot(cluster *tenancy.VirtualCluster, conditionType string) (reason, message string) {
	for _, t := range []string{conditionType, v1.ConditionReady} {
		condition := meta.FindStatusCondition(cluster.Status.Conditions, t)
		if condition == nil || condition.Status == metav1.ConditionTrue {
			continue
		}
		return condition.Reason, fmt.Sprintf("%s: %s", condition.Reason, condition.Message)
	}
	phase := cluster.Status.Phase
	if phase == "" {
		phase = tenancy.Phase(v1.PhasePending)
	}
	return string(phase), fmt.Sprintf("its phase is %s", phase)
}

// Unavailable is the API error of a virtual cluster that cannot be reached:
// 503, naming the cluster and the cause, with Retry-After when retryAfter
// seconds is positive. Leave that out where the request may have been carried
// out already, since clients repeat it on their own.
func Unavailable(cluster *tenancy.VirtualCluster, retryAfter int32, reason, message string) *apierrors.StatusError {
	return hopError(cluster, http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, retryAfter, reason, message)
}

// BadGateway is the API error of a virtual cluster that was reached but did
// not answer as an API server does: 502.
func BadGateway(cluster *tenancy.VirtualCluster, reason, message string) *apierrors.StatusError {
	return hopError(cluster, http.StatusBadGateway, metav1.StatusReasonInternalError, 0, reason, message)
}

func hopError(cluster *tenancy.VirtualCluster, code int32, statusReason metav1.StatusReason, retryAfter int32, reason, message string) *apierrors.StatusError {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    code,
		Reason:  statusReason,
		Message: fmt.Sprintf("virtual cluster %s/%s is not available: %s", cluster.Namespace, cluster.Name, message),
		Details: &metav1.StatusDetails{
			Group:             tenancy.GroupName,
			Kind:              resource,
			Name:              cluster.Name,
			UID:               cluster.UID,
			RetryAfterSeconds: retryAfter,
			Causes:            []metav1.StatusCause{{Type: metav1.CauseType(reason), Message: message}},
		},
	}}
}
