// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"encoding/json"
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// A request waits for every wake, and a comparison of the release costs the host a dozen
// requests. So the StatefulSet of a virtual cluster that wakes is scaled ahead of the comparison.
// The comparison follows in the same pass, and wins: it finds the scale that it wants anyway.

// onlyWakes says whether the release on the host differs from these values in nothing but that
// it is stopped. Then its pod, once it runs, is the one that the values ask for. The digest is
// of what this process deployed last, and is empty where somebody else changed an object since.
func onlyWakes(vc *tenancyv1.VirtualCluster, values map[string]any, deployed string) (bool, error) {
	if deployed == "" || vc.Status.Asleep() {
		return false, nil
	}
	plane, _ := values["controlPlane"].(map[string]any)
	plane = maps.Clone(plane)
	if plane == nil {
		plane = map[string]any{}
	}
	plane["stopped"] = true
	stopped := maps.Clone(values)
	stopped["controlPlane"] = plane
	digest, err := digestOf(vc, stopped)
	return digest == deployed, err
}

// startAhead scales the StatefulSet to one, if it is as this process knows it. Where the host
// refuses, the comparison of the release does it, or says why it cannot.
func (c *Controller) startAhead(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory) {
	set, err := c.watched.statefulSets.StatefulSets(vc.Namespace).Get(tenancyv1.ReleaseName(vc.Name))
	if err != nil || set.DeletionTimestamp != nil {
		return
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": set.UID, "resourceVersion": set.ResourceVersion},
		"spec":     map[string]any{"replicas": 1},
	})
	if err != nil {
		return
	}
	// From here on the release may not be what was deployed last.
	m.Lock()
	m.deployed = ""
	m.Unlock()
	_, err = c.Host.AppsV1().StatefulSets(vc.Namespace).Patch(ctx, set.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: tenancyv1.FieldManagerController})
	if err != nil {
		klog.FromContext(ctx).V(1).Info("Cannot scale the StatefulSet ahead of the release", "err", err)
	}
}
