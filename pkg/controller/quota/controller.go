// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package quota

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	quotav1 "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	tenancyclient "garret.dev/garret/generated/clientset/versioned"
	tenancyinformers "garret.dev/garret/generated/informers/externalversions"
	tenancylisters "garret.dev/garret/generated/listers/tenancy/v1"
	"garret.dev/garret/pkg/controller/work"
	"garret.dev/garret/pkg/quota"
)

const (
	// Name is the controller's, in queues and logs.
	Name = "quota"

	workers    = 2
	retryFirst = 50 * time.Millisecond
	retryLast  = 30 * time.Second
)

// Controller counts.
type Controller struct {
	host      kubernetes.Interface
	client    tenancyclient.Interface
	informers informers.SharedInformerFactory
	quotas    corelisters.ResourceQuotaLister
	clusters  tenancylisters.VirtualClusterLister
	synced    []cache.InformerSynced
	queue     *work.Queue
	settling  *settling
}

// New returns a controller; somebody else starts the informers of virtual
// clusters, and Run those of quotas and the work.
func New(host kubernetes.Interface, client tenancyclient.Interface, shared tenancyinformers.SharedInformerFactory) (*Controller, error) {
	own := informers.NewSharedInformerFactory(host, 0)
	quotas, clusters := own.Core().V1().ResourceQuotas(), shared.Tenancy().V1().VirtualClusters()
	c := &Controller{
		host: host, client: client, informers: own,
		quotas: quotas.Lister(), clusters: clusters.Lister(),
		synced:   []cache.InformerSynced{quotas.Informer().HasSynced, clusters.Informer().HasSynced},
		queue:    work.NewQueue(Name, "resourceQuota", retryFirst, retryLast, clock.RealClock{}),
		settling: newSettling(),
	}
	_, quotaErr := quotas.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: c.queue.AddObject, UpdateFunc: func(_, now any) { c.queue.AddObject(now) }, DeleteFunc: c.queue.AddObject,
	})
	_, clusterErr := clusters.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: c.clusterChanged, UpdateFunc: c.clusterUpdated, DeleteFunc: c.clusterChanged,
	})
	if err := errors.Join(quotaErr, clusterErr); err != nil {
		return nil, fmt.Errorf("%s controller: %w", Name, err)
	}
	return c, nil
}

// Run works until ctx ends. Only one process should.
func (c *Controller) Run(ctx context.Context) error {
	c.informers.Start(ctx.Done())
	defer c.informers.Shutdown()
	c.queue.Run(ctx, workers, c.reconcile, c.synced...)
	return nil
}

// clusterUpdated skips the many updates that change nothing that is counted.
func (c *Controller) clusterUpdated(old, now any) {
	before, after := old.(*tenancyv1.VirtualCluster), now.(*tenancyv1.VirtualCluster)
	if before.UID != after.UID || before.Generation != after.Generation {
		c.clusterChanged(now)
	}
}

// clusterChanged has the quotas of the namespace counted that bound anything of ours.
func (c *Controller) clusterChanged(object any) {
	name, err := cache.DeletionHandlingObjectToName(object)
	if err != nil {
		utilruntime.HandleError(err)
		return
	}
	quotas, err := c.quotas.ResourceQuotas(name.Namespace).List(labels.Everything())
	if err != nil {
		utilruntime.HandleError(err)
		return
	}
	for _, found := range quotas {
		if len(quota.Bounded(found)) > 0 {
			c.queue.Add(cache.MetaObjectToName(found))
		}
	}
}

// used counts what a quota bounds of ours in a list of virtual clusters.
func used(bounding *corev1.ResourceQuota, clusters []*tenancyv1.VirtualCluster) (corev1.ResourceList, error) {
	names := quota.Bounded(bounding)
	stats, err := quota.NewEvaluator(listOf(clusters)).UsageStats(quotav1.UsageStatsOptions{
		Namespace: bounding.Namespace, Resources: names,
		Scopes: bounding.Spec.Scopes, ScopeSelector: bounding.Spec.ScopeSelector,
	})
	if err != nil {
		return nil, fmt.Errorf("count for quota %s/%s: %w", bounding.Namespace, bounding.Name, err)
	}
	return quotav1.Mask(stats.Used, names), nil
}
