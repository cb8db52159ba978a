// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"errors"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	appslisters "k8s.io/client-go/listers/apps/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	rbaclisters "k8s.io/client-go/listers/rbac/v1"
	"k8s.io/client-go/tools/cache"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	tenancyinformers "garret.dev/garret/generated/informers/externalversions"
	tenancylisters "garret.dev/garret/generated/listers/tenancy/v1"
)

var listOne = metav1.ListOptions{Limit: 1}

// watched are the caches that a pass reads, and what fills them: VirtualClusters,
// the objects of their releases and of nothing else on the host, what the
// StatefulSet controller could not do, garret-apiserver's published authority, and
// which namespaces are being deleted, and how their pods are held, whose syncer may
// read the host's classes and definitions, and which kinds rules may be about.
type watched struct {
	clusters     tenancylisters.VirtualClusterLister
	hosts        tenancylisters.HostClusterLister
	pods         corelisters.PodLister
	claims       corelisters.PersistentVolumeClaimLister
	services     corelisters.ServiceLister
	statefulSets appslisters.StatefulSetLister
	events       corelisters.EventLister
	configMaps   corelisters.ConfigMapLister
	namespaces   corelisters.NamespaceLister
	// lent has the bindings by which syncers read of the host what is in no namespace.
	lent map[string]rbaclisters.ClusterRoleBindingLister
	// opened has one ClusterRole, with the kinds that rules may be about.
	opened rbaclisters.ClusterRoleLister
	// roles and bindings are those of releases, and those by which syncers read in other namespaces.
	roles          rbaclisters.RoleLister
	bindings       rbaclisters.RoleBindingLister
	clusterChanges cache.SharedIndexInformer
	hostChanges    cache.SharedIndexInformer
	eventChanges   cache.SharedIndexInformer
	mapChanges     cache.SharedIndexInformer
	spaceChanges   cache.SharedIndexInformer
	lentChanges    []cache.SharedIndexInformer
	openedChanges  cache.SharedIndexInformer
	// sources are what specs name of the host's Services.
	sources *sources
	// nodes knows what the host's nodes have. No pass waits for it.
	nodes *hostNodes
	// lookedAt change by themselves; kept must not change but by us.
	lookedAt, kept []cache.SharedIndexInformer

	tenancy   tenancyinformers.SharedInformerFactory
	factories []informers.SharedInformerFactory
}

func watch(host kubernetes.Interface, clusters tenancyinformers.SharedInformerFactory, namespace string) *watched {
	released := informers.NewSharedInformerFactoryWithOptions(host, 0, informers.WithTransform(trim),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = tenancyv1.LabelVirtualCluster }))
	refusals := informers.NewSharedInformerFactoryWithOptions(host, 0, informers.WithTransform(trim),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			o.FieldSelector = fields.Set{"involvedObject.kind": "StatefulSet", "reason": "FailedCreate"}.String()
		}))
	published := informers.NewSharedInformerFactoryWithOptions(host, 0, informers.WithNamespace(namespace), informers.WithTransform(trim),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			o.FieldSelector = fields.OneTermEqualSelector("metadata.name", tenancyv1.CAConfigMap).String()
		}))
	named := func(name string) informers.SharedInformerFactory {
		return informers.NewSharedInformerFactoryWithOptions(host, 0, informers.WithTransform(trim),
			informers.WithTweakListOptions(func(o *metav1.ListOptions) {
				o.FieldSelector = fields.OneTermEqualSelector("metadata.name", name).String()
			}))
	}
	opened := named(tenancyv1.RoleCustomKinds)
	spaces := informers.NewSharedInformerFactoryWithOptions(host, 0, informers.WithTransform(trim))
	core, apps, rbac := released.Core().V1(), released.Apps().V1(), released.Rbac().V1()
	w := &watched{
		clusters:       clusters.Tenancy().V1().VirtualClusters().Lister(),
		hosts:          clusters.Tenancy().V1().HostClusters().Lister(),
		pods:           core.Pods().Lister(),
		claims:         core.PersistentVolumeClaims().Lister(),
		services:       core.Services().Lister(),
		statefulSets:   apps.StatefulSets().Lister(),
		events:         refusals.Core().V1().Events().Lister(),
		configMaps:     published.Core().V1().ConfigMaps().Lister(),
		namespaces:     spaces.Core().V1().Namespaces().Lister(),
		lent:           map[string]rbaclisters.ClusterRoleBindingLister{},
		roles:          rbac.Roles().Lister(),
		bindings:       rbac.RoleBindings().Lister(),
		opened:         opened.Rbac().V1().ClusterRoles().Lister(),
		clusterChanges: clusters.Tenancy().V1().VirtualClusters().Informer(),
		hostChanges:    clusters.Tenancy().V1().HostClusters().Informer(),
		eventChanges:   refusals.Core().V1().Events().Informer(),
		mapChanges:     published.Core().V1().ConfigMaps().Informer(),
		spaceChanges:   spaces.Core().V1().Namespaces().Informer(),
		openedChanges:  opened.Rbac().V1().ClusterRoles().Informer(),
		lookedAt:       []cache.SharedIndexInformer{core.Pods().Informer(), core.PersistentVolumeClaims().Informer()},
		kept: []cache.SharedIndexInformer{apps.StatefulSets().Informer(), core.Services().Informer(), core.ServiceAccounts().Informer(),
			rbac.Roles().Informer(), rbac.RoleBindings().Informer()},
		sources:   newSources(host),
		nodes:     newHostNodes(host),
		tenancy:   clusters,
		factories: []informers.SharedInformerFactory{released, refusals, published, spaces, opened},
	}
	for _, name := range lentRoles() {
		binding := named(name)
		w.lent[name] = binding.Rbac().V1().ClusterRoleBindings().Lister()
		w.lentChanges = append(w.lentChanges, binding.Rbac().V1().ClusterRoleBindings().Informer())
		w.factories = append(w.factories, binding)
	}
	return w
}

func (w *watched) start(ctx context.Context) {
	w.tenancy.Start(ctx.Done())
	w.sources.stop = ctx.Done()
	w.nodes.factory.Start(ctx.Done())
	for _, factory := range w.factories {
		factory.Start(ctx.Done())
	}
}

func (w *watched) informers() []cache.SharedIndexInformer {
	all := []cache.SharedIndexInformer{w.clusterChanges, w.hostChanges, w.eventChanges, w.mapChanges, w.spaceChanges, w.openedChanges}
	return slices.Concat(all, w.lentChanges, w.lookedAt, w.kept)
}

func (w *watched) synced() bool {
	for _, informer := range w.informers() {
		if !informer.HasSynced() {
			return false
		}
	}
	return true
}

func (w *watched) waitSynced(ctx context.Context) bool {
	var synced []cache.InformerSynced
	for _, informer := range w.informers() {
		synced = append(synced, informer.HasSynced)
	}
	return cache.WaitForCacheSync(ctx.Done(), synced...)
}

// wait returns when the informers have ended.
func (w *watched) wait(ctx context.Context) error {
	<-ctx.Done()
	w.tenancy.Shutdown()
	w.sources.factory.Shutdown()
	w.nodes.factory.Shutdown()
	for _, factory := range w.factories {
		factory.Shutdown()
	}
	return nil
}

// handle makes every change lead to a pass over the VirtualCluster it concerns.
func (w *watched) handle(c *Controller) error {
	var errs []error
	add := func(informer cache.SharedIndexInformer, handler cache.ResourceEventHandler) {
		_, err := informer.AddEventHandler(handler)
		errs = append(errs, err)
	}
	add(w.clusterChanges, onAny(c.queue.AddObject))
	add(w.eventChanges, onAny(c.enqueueRefused))
	add(w.sources.services, onAny(c.enqueueSource))
	look := func(any) {
		if w.nodes.changed() {
			c.enqueueAll()
		}
	}
	add(w.nodes.nodes, cache.ResourceEventHandlerFuncs{AddFunc: look, DeleteFunc: look, UpdateFunc: func(before, now any) {
		// Each kubelet writes its node every few seconds.
		if !sameResources(before, now) {
			look(now)
		}
	}})
	add(w.mapChanges, onAny(func(any) { c.enqueueAll() }))
	add(w.spaceChanges, cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { c.enqueueNamespace(nil, object) },
		UpdateFunc: c.enqueueNamespace,
	})
	for _, informer := range w.lentChanges {
		add(informer, cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { c.enqueueAll() },
			DeleteFunc: func(any) { c.enqueueAll() },
			UpdateFunc: c.enqueueUnlent,
		})
	}
	add(w.openedChanges, onAny(func(any) { c.enqueueRuled() }))
	add(w.hostChanges, cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { c.enqueueAll() },
		// Its status counts virtual clusters, and concerns none of them.
		UpdateFunc: func(before, now any) {
			if changed(before, now) {
				c.enqueueAll()
			}
		},
	})
	for _, informer := range w.lookedAt {
		add(informer, onAny(c.enqueueOwner))
	}
	for _, informer := range w.kept {
		add(informer, cache.ResourceEventHandlerFuncs{
			AddFunc:    c.enqueueOwner,
			DeleteFunc: func(object any) { c.drifted(object); c.enqueueOwner(object) },
			UpdateFunc: func(before, now any) {
				if changed(before, now) {
					c.drifted(now)
				}
				c.enqueueOwner(now)
			},
		})
	}
	return errors.Join(errs...)
}

func onAny(do func(object any)) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{AddFunc: do, DeleteFunc: do, UpdateFunc: func(_, now any) { do(now) }}
}

// changed says whether more than a status did. Kinds without a generation have no
// status that changes often.
func changed(before, now any) bool {
	a, errA := meta.Accessor(before)
	b, errB := meta.Accessor(now)
	if errA != nil || errB != nil {
		return true
	}
	if b.GetGeneration() != 0 {
		return a.GetGeneration() != b.GetGeneration()
	}
	return a.GetResourceVersion() != b.GetResourceVersion()
}

func (c *Controller) enqueueAll() {
	for _, object := range c.watched.clusterChanges.GetStore().List() {
		c.queue.AddObject(object)
	}
}

// enqueueRuled is for the virtual clusters that have rules for kinds of the host, or had some.
func (c *Controller) enqueueRuled() {
	for _, object := range c.watched.clusterChanges.GetStore().List() {
		if vc, ok := object.(*tenancyv1.VirtualCluster); ok && len(vc.Spec.Syncer.Rules())+len(vc.Spec.Syncer.FromHost.Custom)+len(vc.Status.CustomKinds) > 0 {
			c.queue.AddObject(object)
		}
	}
}

// enqueueNamespace is for namespaces, of which those matter that are being deleted, or
// whose pods are held to another level than before.
func (c *Controller) enqueueNamespace(before, now any) {
	space, ok := now.(*corev1.Namespace)
	if !ok {
		return
	}
	known, ok := before.(*corev1.Namespace)
	if space.DeletionTimestamp == nil && (!ok || tenancyv1.EnforcedPodSecurity(known.Labels) == tenancyv1.EnforcedPodSecurity(space.Labels)) {
		return
	}
	for _, each := range c.watched.clusterChanges.GetStore().List() {
		if accessor, err := meta.Accessor(each); err == nil && accessor.GetNamespace() == space.Name {
			c.queue.AddObject(each)
		}
	}
}

// enqueueUnlent is for the virtual clusters that somebody took the right from to read the
// host's classes.
func (c *Controller) enqueueUnlent(before, now any) {
	old, ok := before.(*rbacv1.ClusterRoleBinding)
	binding, is := now.(*rbacv1.ClusterRoleBinding)
	if !ok || !is {
		return
	}
	for _, subject := range old.Subjects {
		name, ours := strings.CutPrefix(subject.Name, tenancyv1.ReleasePrefix)
		if ours && !slices.Contains(binding.Subjects, subject) {
			c.queue.Add(cache.NewObjectName(subject.Namespace, name))
		}
	}
}

// owner is the VirtualCluster whose release an object is part of.
func owner(object any) (cache.ObjectName, bool) {
	if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	accessor, err := meta.Accessor(object)
	if err != nil {
		return cache.ObjectName{}, false
	}
	name := accessor.GetLabels()[tenancyv1.LabelVirtualCluster]
	return cache.NewObjectName(accessor.GetNamespace(), name), name != ""
}

func (c *Controller) enqueueOwner(object any) {
	if name, ok := owner(object); ok {
		c.queue.Add(name)
	}
}

// enqueueRefused is for events, which carry no labels.
func (c *Controller) enqueueRefused(object any) {
	if event, ok := object.(*corev1.Event); ok {
		if name, ours := strings.CutPrefix(event.InvolvedObject.Name, tenancyv1.ReleasePrefix); ours {
			c.queue.Add(cache.NewObjectName(event.InvolvedObject.Namespace, name))
		}
	}
}

// drifted notes that an object of a release is not as it was left. It may have
// been left so by us a moment ago; comparing again does no harm.
func (c *Controller) drifted(object any) {
	name, ok := owner(object)
	if !ok {
		return
	}
	m := c.remember(name)
	m.Lock()
	defer m.Unlock()
	m.drifted = true
}
