// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/translate"
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
	uid     types.UID
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

// observe takes over what a watch of one object holds. An object that is gone, or
// another one of the same name, says nothing about this cluster.
func (o *ownSpec) observe(objects []any) {
	for _, object := range objects {
		cluster, ok := object.(*tenancyv1.VirtualCluster)
		if !ok || cluster.UID != o.uid {
			continue
		}
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
}

// watch follows the object through the host's API server until the context ends.
// Only the one name is asked for: the syncer may see no other.
func (o *ownSpec) watch(ctx context.Context, client rest.Interface, cluster translate.Cluster) {
	source := cache.NewListWatchFromClient(client, "virtualclusters", cluster.HostNamespace, fields.OneTermEqualSelector("metadata.name", cluster.Name))
	store := cache.NewUndeltaStore(o.observe, cache.DeletionHandlingMetaNamespaceKeyFunc)
	cache.NewReflectorWithOptions(source, &tenancyv1.VirtualCluster{}, store, cache.ReflectorOptions{
		Name: "own virtual cluster",
		// While garret-apiserver is away. The default would grow to a minute, and a
		// right that was taken away should end soon after it is back.
		Backoff: &wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 6, Cap: 4 * time.Second},
	}).RunWithContext(ctx)
}
