// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// hasTenants tells whether somebody inside gave the node a resource.
func (n *nodes) hasTenants(node *corev1.Node) bool {
	real, _ := n.real(node.Name)
	for name := range node.Status.Capacity {
		if n.resources.tenants(name) && (real == nil || !has(real.Status.Capacity, name)) {
			return true
		}
	}
	return false
}

// keepTenants leaves a node the resources that somebody inside gave it, as a kubelet does
// with what it does not know: all of it can be allocated. What the host has is for the host to say.
func (n *nodes) keepTenants(node *corev1.Node, capacity corev1.ResourceList) {
	for name, quantity := range capacity {
		if _, hosts := node.Status.Capacity[name]; hosts || !n.resources.tenants(name) {
			continue
		}
		node.Status.Capacity[name], node.Status.Allocatable[name] = quantity, quantity
	}
}

// mayBeOn tells whether the pod may be on a node, by what is known of the node inside: its
// cordon and taints, its name, and labels that are shown or a tenant's. What else the pod asks
// of a node the host decides.
func (n *nodes) mayBeOn(pod *corev1.Pod, node *corev1.Node) bool {
	if len(avoidedNodes(pod, []*corev1.Node{node})) > 0 {
		return false
	}
	asked := &corev1.Pod{}
	if affinity := pod.Spec.Affinity; affinity != nil && affinity.NodeAffinity != nil && affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		required := affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.DeepCopy()
		for i := range required.NodeSelectorTerms {
			term := &required.NodeSelectorTerms[i]
			term.MatchExpressions = slices.DeleteFunc(term.MatchExpressions, func(r corev1.NodeSelectorRequirement) bool { return !n.tells(node, r.Key) })
			if len(term.MatchExpressions)+len(term.MatchFields) == 0 {
				// An empty term matches nothing, and this one may match on the host.
				term.MatchFields = []corev1.NodeSelectorRequirement{named(corev1.NodeSelectorOpIn, node.Name)}
			}
		}
		asked.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: required}}
	}
	for key, value := range pod.Spec.NodeSelector {
		if n.tells(node, key) {
			metav1.SetMetaDataLabel(&asked.ObjectMeta, key, value)
		}
	}
	asked.Spec.NodeSelector = asked.Labels
	matches, err := nodeaffinity.GetRequiredNodeAffinity(asked).Match(node)
	return err == nil && matches
}

// tells says whether the node inside has the label if the host's node has it.
func (n *nodes) tells(node *corev1.Node, key string) bool {
	if _, found := n.real(node.Name); found {
		return true
	}
	_, shown := node.Labels[key]
	return shown
}
