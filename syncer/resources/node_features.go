// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/nodedeclaredfeatures/features/inplacepodresize"
)

// declareFeatures has the node inside declare what its kubelet can do, without which the
// API server inside refuses to resize its pods. A node whose host node may not be read
// declares all: the host refuses what that cannot do, and an Event on the pod says so.
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
