// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package own follows the syncer's own VirtualCluster through the host's API
// server. The syncer may see no other.
package own

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/translate"
)

// Cluster reports every change of the VirtualCluster to its observers.
type Cluster struct {
	cluster   translate.Cluster
	client    rest.Interface
	observers []func(*tenancyv1.VirtualCluster)
}

// New returns a Cluster that has yet to be run. The client reads the group of the
// VirtualCluster.
func New(client rest.Interface, cluster translate.Cluster) *Cluster {
	return &Cluster{cluster: cluster, client: client}
}

// Observe has the function called with the object as it is, and after every
// change. It must come before Run. The object must not be changed.
func (c *Cluster) Observe(observer func(*tenancyv1.VirtualCluster)) {
	c.observers = append(c.observers, observer)
}

// observe takes over what a watch of one object holds. An object that is gone, or
// another one of the same name, says nothing about this cluster.
func (c *Cluster) observe(objects []any) {
	for _, object := range objects {
		cluster, ok := object.(*tenancyv1.VirtualCluster)
		if !ok || cluster.UID != c.cluster.UID {
			continue
		}
		for _, observer := range c.observers {
			observer(cluster)
		}
	}
}

// Run follows the object until the context ends.
func (c *Cluster) Run(ctx context.Context) error {
	source := cache.NewListWatchFromClient(c.client, "virtualclusters", c.cluster.HostNamespace, fields.OneTermEqualSelector("metadata.name", c.cluster.Name))
	store := cache.NewUndeltaStore(c.observe, cache.DeletionHandlingMetaNamespaceKeyFunc)
	cache.NewReflectorWithOptions(source, &tenancyv1.VirtualCluster{}, store, cache.ReflectorOptions{
		Name: "own virtual cluster",
		// While garret-apiserver is away. The default would grow to a minute, and a
		// right that was taken away should end soon after it is back.
		Backoff: &wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 6, Cap: 4 * time.Second},
	}).RunWithContext(ctx)
	return nil
}
