// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// countedObjects are the names in a quota that count objects or ports.
func countedObjects() []corev1.ResourceName {
	return []corev1.ResourceName{
		corev1.ResourcePods, corev1.ResourcePersistentVolumeClaims, corev1.ResourceServices, corev1.ResourceServicesNodePorts,
		corev1.ResourceServicesLoadBalancers, corev1.ResourceConfigMaps, corev1.ResourceSecrets,
	}
}

// QuotaNames are the names that spec.isolation.quota.hard may hold. They mean what
// they mean in a ResourceQuota, for the host objects of one virtual cluster.
func QuotaNames() []corev1.ResourceName {
	return slices.Sorted(slices.Values(append(countedObjects(),
		corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceRequestsEphemeralStorage,
		corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory, corev1.ResourceLimitsEphemeralStorage,
		corev1.ResourceRequestsStorage)))
}

// CountsObjects tells whether the name counts objects or ports, in whole numbers.
func CountsObjects(name corev1.ResourceName) bool { return slices.Contains(countedObjects(), name) }
