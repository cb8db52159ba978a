// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcehelper "k8s.io/component-helpers/resource"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/placement"
)

// A tenant may give a node inside resources of its own, by the status of the Node. The
// host knows none of them. So the syncer counts them, chooses among the nodes inside that have room
// (pod_places.go), and asks the host for that node, without the resource.

// annotationInside on a host pod names the resources that it was not asked for, since
// only nodes inside have them.
const annotationInside = "garret.dev/inside-resources"

// insideResources tells which resources only nodes inside have.
type insideResources struct {
	virtual *Virtual
	host    *HostResources
	// id is that of the cluster, which its nodes have for a label.
	id string
}

// of are the resources of the pod that only nodes inside have. While a pod waits for a node,
// some node inside has to have the resource: without one, it may be of a node that the host
// is yet to get.
func (i insideResources) of(pod *corev1.Pod) placement.Amounts {
	requests := extendedOf(pod)
	if len(requests) == 0 {
		return nil
	}
	var amounts placement.Amounts
	for name, amount := range requests {
		if !i.host.none(name) || !ran(pod) && !i.onNodes(name, pod.Spec.NodeName) {
			continue
		}
		if amounts == nil {
			amounts = placement.Amounts{}
		}
		amounts[name] = amount
	}
	return amounts
}

// extendedOf are the extended resources that the pod requests. Few pods do.
func extendedOf(pod *corev1.Pod) placement.Amounts {
	asks := false
	forEachContainer(&pod.Spec, func(container *corev1.Container) {
		for name := range container.Resources.Requests {
			asks = asks || tenancyv1.IsExtendedResource(name)
		}
	})
	if !asks {
		return nil
	}
	return placement.AmountsOf(resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{}), tenancyv1.IsExtendedResource)
}

// onNodes tells whether a node inside has the resource: the one of the name, or any.
func (i insideResources) onNodes(name corev1.ResourceName, node string) bool {
	if node != "" {
		found, is := i.virtual.Nodes.Get("", node)
		return is && i.isMirror(found) && has(found.Status.Capacity, name)
	}
	return slices.ContainsFunc(i.virtual.Nodes.List(), func(node *corev1.Node) bool {
		return i.isMirror(node) && has(node.Status.Capacity, name)
	})
}

func has(list corev1.ResourceList, name corev1.ResourceName) bool {
	quantity, found := list[name]
	return found && quantity.Sign() > 0
}

// isMirror tells a node that stands for one of the host from one of a tenant's invention.
func (i insideResources) isMirror(node *corev1.Node) bool {
	return isShown(node, tenancyv1.LabelCluster, i.id)
}

// nodes are those inside that have resources of their own.
func (i insideResources) nodes() []placement.Node {
	var nodes []placement.Node
	for _, node := range i.virtual.Nodes.List() {
		if !i.isMirror(node) {
			continue
		}
		if own := placement.AmountsOf(node.Status.Allocatable, i.host.none); len(own) > 0 {
			nodes = append(nodes, placement.Node{Name: node.Name, Has: own})
		}
	}
	return nodes
}

// stripInside takes resources out of what the host is asked for.
func stripInside(spec *corev1.PodSpec, names []corev1.ResourceName) {
	if len(names) == 0 {
		return
	}
	forEachContainer(spec, func(container *corev1.Container) {
		for _, name := range names {
			delete(container.Resources.Requests, name)
			delete(container.Resources.Limits, name)
		}
	})
}

// insideOf are the resources that the host pod was not asked for.
func insideOf(host *corev1.Pod) []corev1.ResourceName {
	value := host.Annotations[annotationInside]
	if value == "" {
		return nil
	}
	var names []corev1.ResourceName
	for name := range strings.SplitSeq(value, ",") {
		names = append(names, corev1.ResourceName(name))
	}
	return names
}

func resourceNamesOf(amounts placement.Amounts) []corev1.ResourceName {
	return slices.Sorted(maps.Keys(amounts))
}

func joined(names []corev1.ResourceName) string {
	words := make([]string, len(names))
	for i, name := range names {
		words[i] = string(name)
	}
	return strings.Join(words, ",")
}
