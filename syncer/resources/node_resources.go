// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
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
	for _, list := range []*corev1.ResourceList{&node.Status.Capacity, &node.Status.Allocatable} {
		if *list == nil {
			*list = corev1.ResourceList{} // the host's node reports nothing yet
		}
	}
	for name, quantity := range capacity {
		if _, hosts := node.Status.Capacity[name]; hosts || !n.resources.tenants(name) {
			continue
		}
		node.Status.Capacity[name], node.Status.Allocatable[name] = quantity, quantity
	}
}

// mirroredLabels are the keys of labels that any node inside has that stands for one of the host. Of
// those, every such node tells whether it has them: they are all nodes', the tenant's, or shown.
func mirroredLabels(mirrors map[string]*corev1.Node) map[string]bool {
	shown := map[string]bool{}
	for _, node := range mirrors {
		for key := range node.Labels {
			shown[key] = true
		}
	}
	return shown
}

// mayBeOn tells whether the pod may be on a node, by what is known of the node inside: its
// cordon and taints, its name, and labels that are shown. What else the pod asks of a node the
// host decides.
func (n *nodes) mayBeOn(pod *corev1.Pod, node *corev1.Node, shown map[string]bool) bool {
	none := func(*corev1.Node, *corev1.Taint) bool { return false }
	if !n.isShown(node.Name) || len(avoidedNodes(pod, []*corev1.Node{node}, none)) > 0 {
		return false
	}
	hosts, real := n.real(node.Name)
	if real && slices.ContainsFunc(n.heeded(hosts), func(taint corev1.Taint) bool { return keepsAway(pod, &taint) }) {
		return false // the host would not let it there, whether the taint is shown inside or not
	}
	unknown := func(key string) bool { return !real && !shown[key] }
	asked := &corev1.Pod{Spec: corev1.PodSpec{NodeSelector: map[string]string{}}}
	for key, value := range pod.Spec.NodeSelector {
		if !unknown(key) {
			asked.Spec.NodeSelector[key] = value
		}
	}
	if affinity := pod.Spec.Affinity; affinity != nil && affinity.NodeAffinity != nil && affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		required := affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.DeepCopy()
		for i := range required.NodeSelectorTerms {
			leaveOutUnknown(&required.NodeSelectorTerms[i], node.Name, unknown)
		}
		asked.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: required}}
	}
	matches, err := nodeaffinity.GetRequiredNodeAffinity(asked).Match(node)
	return err == nil && matches
}

// leaveOutUnknown takes out of a term what only the host can tell.
func leaveOutUnknown(term *corev1.NodeSelectorTerm, node string, unknown func(key string) bool) {
	before := len(term.MatchExpressions)
	term.MatchExpressions = slices.DeleteFunc(term.MatchExpressions, func(r corev1.NodeSelectorRequirement) bool { return unknown(r.Key) })
	if before > 0 && len(term.MatchExpressions)+len(term.MatchFields) == 0 {
		// An empty term matches nothing, and this one may match on the host.
		term.MatchFields = []corev1.NodeSelectorRequirement{named(corev1.NodeSelectorOpIn, node)}
	}
}
