// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/nodedeclaredfeatures/features/extendwebsocketstokubelet"
	"k8s.io/component-helpers/nodedeclaredfeatures/features/inplacepodresize"
)

// declareFeatures has the node inside declare what its kubelet can do, without which the
// API server inside refuses to resize its pods. A node whose host node may not be read
// declares all: the host refuses what that cannot do, and an Event on the pod says so.
//
// The syncer is the kubelet of streams, on every node, and passes on WebSockets as they
// come. So the API server inside need not translate them to SPDY, of which the host's may
// lose the end: with a command's output its exit code, which reads as success.
func (n *nodes) declareFeatures(node *corev1.Node) {
	features := []string{
		inplacepodresize.IPPRInitContainersFeatureGate,
		inplacepodresize.IPPRMemoryBackedVolumesFeatureGate,
		inplacepodresize.IPPRPodLevelResourcesFeatureGate,
	}
	if real, found := n.real(node.Name); found {
		features = slices.Clone(real.Status.DeclaredFeatures)
	}
	features = append(features, extendwebsocketstokubelet.ExtendWebSocketsToKubeletFeatureGate)
	slices.Sort(features)
	node.Status.DeclaredFeatures = slices.Compact(features)
}
