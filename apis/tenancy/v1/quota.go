// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
)

// QuotaCount begins the names in a quota that count the objects of a kind.
const QuotaCount = "count/"

// countedObjects are the names in a quota that count objects or ports.
func countedObjects() []corev1.ResourceName {
	return []corev1.ResourceName{
		corev1.ResourcePods, corev1.ResourcePersistentVolumeClaims, corev1.ResourceServices, corev1.ResourceServicesNodePorts,
		corev1.ResourceServicesLoadBalancers, corev1.ResourceConfigMaps, corev1.ResourceSecrets,
	}
}

// CountName is the name in a quota that counts the objects of a kind.
func CountName(kind schema.GroupResource) corev1.ResourceName {
	return corev1.ResourceName(QuotaCount + kind.String())
}

// countedKinds are the names that count the objects of each kind that goes to the host, as the
// catalogue or a rule of Garret's own has it.
func countedKinds() []corev1.ResourceName {
	var names []corev1.ResourceName
	for _, kind := range Catalogue() {
		if kind.Direction == ToHost {
			names = append(names, CountName(kind.GroupVersionResource().GroupResource()))
		}
	}
	for _, built := range (&SyncerSpec{}).BuiltIn() {
		names = append(names, CountName(built.Rule.GroupVersionResource().GroupResource()))
	}
	return names
}

// DevicesName is the name in a quota that counts the devices that claims ask for of a class.
func DevicesName(class string) corev1.ResourceName {
	return corev1.ResourceName(class + corev1.ResourceClaimsPerClass)
}

// countsDevices says whether the name is a DevicesName.
func countsDevices(name corev1.ResourceName) bool {
	class, is := strings.CutSuffix(string(name), corev1.ResourceClaimsPerClass)
	return is && len(validation.IsDNS1123Subdomain(class)) == 0
}

// IsQuotaName says whether spec.isolation.quota.hard may hold the name.
func IsQuotaName(name corev1.ResourceName) bool {
	return countsDevices(name) || slices.Contains(QuotaNames(), name)
}

// QuotaNames are the names that spec.isolation.quota.hard may hold, besides those of devices. They mean
// what they mean in a ResourceQuota, for the host objects of one virtual cluster.
func QuotaNames() []corev1.ResourceName {
	return slices.Sorted(slices.Values(append(append(countedObjects(), countedKinds()...),
		corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceRequestsEphemeralStorage,
		corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory, corev1.ResourceLimitsEphemeralStorage,
		corev1.ResourceRequestsStorage)))
}

// CountsObjects tells whether the name counts objects, ports or devices, in whole numbers.
func CountsObjects(name corev1.ResourceName) bool {
	return slices.Contains(countedObjects(), name) || strings.HasPrefix(string(name), QuotaCount) || countsDevices(name)
}
