// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/nodedeclaredfeatures/features/inplacepodresize"
)

// declareFeatures has the node inside declare what its kubelet can do, without which the
// API server inside refuses to resize its pods. Of a node of the host that may not be
// read all is declared: what it cannot do, the host refuses, and the pod is told.
func (n *nodes) declareFeatures(node *corev1.Node) {
	if real, found := n.real(node.Name); found {
		node.Status.DeclaredFeatures = slices.Clone(real.Status.DeclaredFeatures)
		return
	}
	node.Status.DeclaredFeatures = slices.Sorted(slices.Values([]string{
		inplacepodresize.IPPRInitContainersFeatureGate,
		inplacepodresize.IPPRMemoryBackedVolumesFeatureGate,
		inplacepodresize.IPPRPodLevelResourcesFeatureGate,
	}))
}
