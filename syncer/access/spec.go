// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// spec is what the VirtualCluster asks for, as it was read last.
type spec struct {
	generation int64
	rules      []tenancyv1.AccessRule
	// reported is set while the status tells of a former outcome.
	reported bool
}

// ownSpec follows the syncer's own VirtualCluster.
type ownSpec struct {
	changed func()

	mu   sync.Mutex
	last *spec
}

// get returns nil until the object was read.
func (o *ownSpec) get() *spec {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last
}

// observe takes over what the object says.
func (o *ownSpec) observe(cluster *tenancyv1.VirtualCluster) {
	now := &spec{
		generation: cluster.Generation, rules: cluster.Spec.Access,
		reported: meta.FindStatusCondition(cluster.Status.Conditions, tenancyv1.ConditionAccessApplied) != nil,
	}
	o.mu.Lock()
	// The status changes often, and mostly by the syncer itself.
	same := o.last != nil && o.last.generation == now.generation
	o.last = now
	o.mu.Unlock()
	if !same {
		o.changed()
	}
}
