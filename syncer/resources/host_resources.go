// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// HostResources knows which extended resources the host has. garret-controller tells them
// in the status of the VirtualCluster, since the syncer may not read the host's nodes.
//
// A resource of the host is always asked of the host, whatever a tenant writes on a node. As
// long as that is not known, every resource may be the host's.
type HostResources struct {
	mu      sync.Mutex
	known   bool
	names   map[corev1.ResourceName]bool
	changed []func()
}

// NewHostResources returns ones that are not known yet.
func NewHostResources() *HostResources { return &HostResources{} }

// Observe takes over what the VirtualCluster says.
func (h *HostResources) Observe(cluster *tenancyv1.VirtualCluster) {
	told := cluster.Status.HostNodes
	names := map[corev1.ResourceName]bool{}
	if told != nil {
		for _, name := range told.Resources {
			names[corev1.ResourceName(name)] = true
		}
	}
	h.mu.Lock()
	same := h.known == (told != nil) && len(h.names) == len(names)
	for name := range names {
		same = same && h.names[name]
	}
	h.known, h.names = told != nil, names
	changed := slices.Clone(h.changed)
	h.mu.Unlock()
	if same {
		return
	}
	for _, do := range changed {
		do()
	}
}

// watch has the function called after every change.
func (h *HostResources) watch(do func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changed = append(h.changed, do)
}

// areKnown tells whether anybody has said what the host has.
func (h *HostResources) areKnown() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known
}

// none says that the host is known not to have the resource, which is no resource of
// Kubernetes' own either.
func (h *HostResources) none(name corev1.ResourceName) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known && !h.names[name] && tenancyv1.IsExtendedResource(name)
}

// tenants says whether a tenant may give the resource to a node inside, so far as is known.
func (h *HostResources) tenants(name corev1.ResourceName) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return tenancyv1.IsExtendedResource(name) && !(h.known && h.names[name])
}
