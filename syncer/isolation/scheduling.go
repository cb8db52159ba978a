// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func schedulingTable() []typeRules {
	const labels = "the host's labels of pods of the same virtual cluster"
	const terms, preferred = "requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution"
	return []typeRules{
		of[corev1.Affinity](passed("nodeAffinity", "podAffinity", "podAntiAffinity")),
		of[corev1.NodeAffinity](passed(terms, preferred)),
		of[corev1.NodeSelector](passed("nodeSelectorTerms")),
		of[corev1.NodeSelectorTerm](passed("matchExpressions", "matchFields")),
		of[corev1.NodeSelectorRequirement](passed("key", "operator", "values")),
		of[corev1.PreferredSchedulingTerm](passed("preference", "weight")),
		of[corev1.PodAffinity](passed(terms, preferred)),
		of[corev1.PodAntiAffinity](passed(terms, preferred)),
		of[corev1.WeightedPodAffinityTerm](passed("podAffinityTerm", "weight")),
		of[corev1.PodAffinityTerm](
			passed("topologyKey"),
			translated(labels, "labelSelector", "matchLabelKeys", "mismatchLabelKeys", "namespaceSelector", "namespaces"),
		),
		of[corev1.TopologySpreadConstraint](
			passed("maxSkew", "minDomains", "nodeAffinityPolicy", "nodeTaintsPolicy", "topologyKey", "whenUnsatisfiable"),
			translated(labels, "labelSelector", "matchLabelKeys"),
		),
		of[metav1.LabelSelector](translated(labels, "matchExpressions", "matchLabels")),
		of[metav1.LabelSelectorRequirement](translated(labels, "key", "operator", "values")),
		of[corev1.Toleration](passed("effect", "key", "operator", "tolerationSeconds", "value")),
	}
}
