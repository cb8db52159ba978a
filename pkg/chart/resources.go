// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// ControlPlaneResources are those of the control plane's container: the given
// ones, or some requests if none were given.
func ControlPlaneResources(given corev1.ResourceRequirements) corev1.ResourceRequirements {
	if len(given.Requests) > 0 || len(given.Limits) > 0 {
		return given
	}
	return requests("100m", "256Mi")
}

// SyncerResources are those of the syncer's container, unless the tenant's values
// have their own.
func SyncerResources() corev1.ResourceRequirements { return requests("20m", "48Mi") }

// TenantSyncerResources are those of the syncer's container under the tenant's
// values, which are JSON or empty. An error is the tenant's.
func TenantSyncerResources(tenant []byte) (corev1.ResourceRequirements, error) {
	var values struct {
		Syncer struct {
			Resources *corev1.ResourceRequirements `json:"resources"`
		} `json:"syncer"`
	}
	if len(tenant) > 0 {
		if err := json.Unmarshal(tenant, &values); err != nil {
			return corev1.ResourceRequirements{}, fmt.Errorf("spec.helm.values: %w", err)
		}
	}
	if own := values.Syncer.Resources; own != nil {
		return *own, nil
	}
	return SyncerResources(), nil
}

func requests(cpu, memory string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{Requests: corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}}
}
