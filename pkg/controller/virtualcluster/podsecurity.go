// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// Reasons of the condition HostPodSecurity.
const (
	reasonEnforced    = "Enforced"
	reasonNotEnforced = "NotEnforced"
	reasonStricter    = "HostStricter"
)

// hostPodSecurity says whether the labels of the namespace make the host enforce the level of the
// spec, too. It does not affect readiness: the syncer enforces the level anyway.
func hostPodSecurity(vc *tenancyv1.VirtualCluster, labels map[string]string) metav1.Condition {
	asked, enforced := vc.Spec.Isolation.PodSecurity, tenancyv1.EnforcedPodSecurity(labels)
	if asked == "" {
		asked = tenancyv1.PodSecurityBaseline
	}
	condition := metav1.Condition{
		Type: tenancyv1.ConditionHostPodSecurity, Status: metav1.ConditionTrue, Reason: reasonEnforced, ObservedGeneration: vc.Generation,
		Message: fmt.Sprintf("The host enforces the level %s on pods in the namespace %s.", enforced, vc.Namespace),
	}
	switch {
	case enforced == tenancyv1.PodSecurityPrivileged && asked == tenancyv1.PodSecurityPrivileged:
		condition.Status, condition.Reason = metav1.ConditionFalse, reasonNotEnforced
		condition.Message = fmt.Sprintf("Nobody enforces a level on pods: spec.isolation.podSecurity is privileged, and the namespace %s has no label %s with another level. "+
			"Whoever creates pods in the virtual cluster controls the host's nodes.", vc.Namespace, tenancyv1.LabelEnforce)
	case enforced == tenancyv1.PodSecurityPrivileged:
		condition.Status, condition.Reason = metav1.ConditionFalse, reasonNotEnforced
		condition.Message = fmt.Sprintf("Only the syncer enforces the level %s on pods; the host does not. Set the label %s=%s on the namespace %s.", asked, tenancyv1.LabelEnforce, asked, vc.Namespace)
	case enforced.StricterThan(asked):
		condition.Reason = reasonStricter
		condition.Message = fmt.Sprintf("The host enforces the level %s on pods in the namespace %s, and refuses those that only %s allows.", enforced, vc.Namespace, asked)
	}
	return condition
}
