// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// maxHostResources is how many extended resources a status may name. On a host with more,
// nobody knows which are missing, and so the status names none.
const maxHostResources = 1024

// hostNodes knows which extended resources the nodes of the host have. Syncers may not read
// nodes, and have to tell a resource of the host from one that only a tenant knows. Nothing
// waits for it: a host that refuses the controller to read nodes has virtual clusters whose
// status does not tell.
type hostNodes struct {
	factory informers.SharedInformerFactory
	nodes   cache.SharedIndexInformer

	mu   sync.Mutex
	told []string
}

func newHostNodes(host kubernetes.Interface) *hostNodes {
	factory := informers.NewSharedInformerFactoryWithOptions(host, 0, informers.WithTransform(trimNode))
	return &hostNodes{factory: factory, nodes: factory.Core().V1().Nodes().Informer()}
}

// trimNode drops all but the extended resources of a node.
func trimNode(object any) (any, error) {
	node, ok := object.(*corev1.Node)
	if !ok {
		return object, nil
	}
	trimmed := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node.Name, UID: node.UID, ResourceVersion: node.ResourceVersion}}
	for _, list := range []corev1.ResourceList{node.Status.Capacity, node.Status.Allocatable} {
		for name, quantity := range list {
			if !tenancyv1.IsExtendedResource(name) {
				continue
			}
			if trimmed.Status.Capacity == nil {
				trimmed.Status.Capacity = corev1.ResourceList{}
			}
			trimmed.Status.Capacity[name] = quantity
		}
	}
	return trimmed, nil
}

// status is what a status says of the nodes, nil for nothing; known is false while the previous one
// stays.
func (h *hostNodes) status() (status *tenancyv1.HostNodesStatus, known bool) {
	if !h.nodes.HasSynced() {
		return nil, false
	}
	names := h.names()
	if len(names) > maxHostResources {
		return nil, true
	}
	return &tenancyv1.HostNodesStatus{Resources: names}, true
}

func (h *hostNodes) names() []string {
	known := map[string]bool{}
	for _, object := range h.nodes.GetStore().List() {
		node, ok := object.(*corev1.Node)
		if !ok {
			continue
		}
		// One of which a node has none just now is the host's, too.
		for name := range node.Status.Capacity {
			known[string(name)] = true
		}
	}
	return slices.Sorted(maps.Keys(known))
}

// sameResources says whether a node has resources of the same names as before.
func sameResources(before, now any) bool {
	was, ok := before.(*corev1.Node)
	is, alsoOK := now.(*corev1.Node)
	return ok && alsoOK && maps.EqualFunc(was.Status.Capacity, is.Status.Capacity, func(resource.Quantity, resource.Quantity) bool { return true })
}

// changed says whether other names are there than when it was asked last.
func (h *hostNodes) changed() bool {
	names := h.names()
	h.mu.Lock()
	defer h.mu.Unlock()
	if slices.Equal(h.told, names) {
		return false
	}
	h.told = names
	return true
}
