// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// ControlPlaneResources are those of the control plane's container: the given ones,
// completed. An idle one takes 5m and about 165 MiB, one with many custom resources a few times
// that memory. The requests are such that fifty whole virtual clusters fit on a node of two cores:
// a control plane that works takes what the node has free, up to its limit.
func ControlPlaneResources(given corev1.ResourceRequirements) corev1.ResourceRequirements {
	return complete(given, amounts("20m", "256Mi"), amounts("2", "2Gi"))
}

// SyncerResources are those of the syncer's container, unless the tenant's values
// have their own. An idle one takes about 40 MiB.
func SyncerResources() corev1.ResourceRequirements {
	return completeSyncer(corev1.ResourceRequirements{})
}

func completeSyncer(given corev1.ResourceRequirements) corev1.ResourceRequirements {
	return complete(given, amounts("5m", "48Mi"), amounts("1", "512Mi"))
}

// TenantSyncerResources are those of the syncer's container under the tenant's
// values, which are JSON or empty: what these leave out is completed. An error is the
// tenant's.
func TenantSyncerResources(tenant []byte) (corev1.ResourceRequirements, error) {
	var values struct {
		Syncer struct {
			Resources corev1.ResourceRequirements `json:"resources"`
		} `json:"syncer"`
	}
	if len(tenant) > 0 {
		if err := json.Unmarshal(tenant, &values); err != nil {
			return corev1.ResourceRequirements{}, fmt.Errorf("spec.helm.values: %w", err)
		}
	}
	return completeSyncer(values.Syncer.Resources), nil
}

// complete adds what was not given. Each resource has a limit, so that no virtual cluster
// takes a node from the others; it is never below the request, nor is a request added
// to a limit, which may be less.
func complete(given corev1.ResourceRequirements, requests, limits corev1.ResourceList) corev1.ResourceRequirements {
	whole := *given.DeepCopy()
	if whole.Requests == nil {
		whole.Requests = corev1.ResourceList{}
	}
	if whole.Limits == nil {
		whole.Limits = corev1.ResourceList{}
	}
	for name, limit := range limits {
		if _, set := whole.Limits[name]; set {
			continue
		}
		if _, set := whole.Requests[name]; !set {
			whole.Requests[name] = requests[name]
		}
		if request := whole.Requests[name]; request.Cmp(limit) > 0 {
			limit = request
		}
		whole.Limits[name] = limit
	}
	return whole
}

func amounts(cpu, memory string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
}
