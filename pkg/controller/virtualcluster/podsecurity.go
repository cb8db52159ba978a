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

// hostPodSecurity says whether the host holds pods to the level of the spec, too, by
// the labels of the namespace. It makes nothing ready or not: the syncer holds pods to it anyway.
func hostPodSecurity(vc *tenancyv1.VirtualCluster, labels map[string]string) metav1.Condition {
	asked, enforced := vc.Spec.Isolation.PodSecurity, tenancyv1.EnforcedPodSecurity(labels)
	if asked == "" {
		asked = tenancyv1.PodSecurityBaseline
	}
	condition := metav1.Condition{
		Type: tenancyv1.ConditionHostPodSecurity, Status: metav1.ConditionTrue, Reason: reasonEnforced, ObservedGeneration: vc.Generation,
		Message: fmt.Sprintf("The host holds pods in the namespace %s to %s.", vc.Namespace, enforced),
	}
	switch {
	case enforced == tenancyv1.PodSecurityPrivileged && asked == tenancyv1.PodSecurityPrivileged:
		condition.Status, condition.Reason = metav1.ConditionFalse, reasonNotEnforced
		condition.Message = fmt.Sprintf("Nobody holds pods to anything: spec.isolation.podSecurity is privileged, and the namespace %s has no label %s that names another level. "+
			"Whoever creates pods in the virtual cluster controls the host's nodes.", vc.Namespace, tenancyv1.LabelEnforce)
	case enforced == tenancyv1.PodSecurityPrivileged:
		condition.Status, condition.Reason = metav1.ConditionFalse, reasonNotEnforced
		condition.Message = fmt.Sprintf("Only the syncer holds pods to %s: the host does not. Set the label %s=%s on the namespace %s.", asked, tenancyv1.LabelEnforce, asked, vc.Namespace)
	case enforced.StricterThan(asked):
		condition.Reason = reasonStricter
		condition.Message = fmt.Sprintf("The host holds pods in the namespace %s to %s, and refuses those that only %s allows.", vc.Namespace, enforced, asked)
	}
	return condition
}
