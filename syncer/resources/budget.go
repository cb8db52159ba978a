// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	typedpolicyv1 "k8s.io/client-go/kubernetes/typed/policy/v1"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// budgets carries disruption budgets, so that they hold against evictions on the
// host. What one asks for is computed inside, where pods have their controllers: the
// host knows no number of replicas to take a percentage of, and would allow nothing.
func (b *builder) budgets() {
	virtual, host := sidesOf(b, policyv1.SchemeGroupVersion.WithResource(tenancyv1.ResourceBudgets),
		kubernetes.Interface.PolicyV1, typedpolicyv1.PolicyV1Interface.PodDisruptionBudgets)
	declare(b, virtual, host, declared[*policyv1.PodDisruptionBudget]{
		wanted:   func(virtual *policyv1.PodDisruptionBudget) bool { return virtual.Status.ObservedGeneration > 0 },
		unwanted: "the controllers inside have not computed its limits yet",
		apply: func(virtual, host *policyv1.PodDisruptionBudget) error {
			if virtual.Status.ObservedGeneration == virtual.Generation {
				host.Spec.Selector = b.Translator.HostLabelSelector(virtual.Spec.Selector, []string{virtual.Namespace})
				host.Spec.MinAvailable = ptr.To(intstr.FromInt32(virtual.Status.DesiredHealthy))
				host.Spec.UnhealthyPodEvictionPolicy = virtual.Spec.UnhealthyPodEvictionPolicy
			}
			return nil
		},
	})
}
