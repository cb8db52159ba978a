// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"slices"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	typedstoragev1 "k8s.io/client-go/kubernetes/typed/storage/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

// hiddenParameters are the parameters inside of a class whose own stay on the host. The API wants one.
const hiddenParameters = "garret.dev/parameters"

// attributesClasses shows the host's classes of volume attributes, which claims may name.
func (b *builder) attributesClasses() {
	b.shownAttributes = addClass(b, storagev1.SchemeGroupVersion.WithResource(tenancyv1.ResourceAttributesClasses),
		func(c kubernetes.Interface) typedstoragev1.VolumeAttributesClassInterface {
			return c.StorageV1().VolumeAttributesClasses()
		},
		class[*storagev1.VolumeAttributesClass]{copy: func(host, inside *storagev1.VolumeAttributesClass) {
			// Parameters may name secrets, servers and accounts of the host.
			inside.DriverName, inside.Parameters = host.DriverName, map[string]string{hiddenParameters: "hidden"}
		}})
}

// csiDrivers shows how the host's drivers of storage behave.
func (b *builder) csiDrivers() {
	b.shownDrivers = addClass(b, storagev1.SchemeGroupVersion.WithResource(tenancyv1.ResourceCSIDrivers),
		func(c kubernetes.Interface) typedstoragev1.CSIDriverInterface { return c.StorageV1().CSIDrivers() },
		class[*storagev1.CSIDriver]{copy: driverInside})
}

// driverInside is what tenants may see of a driver. What only the host acts on stays there: which tokens a
// driver gets, and when nodes report their volumes.
func driverInside(host, inside *storagev1.CSIDriver) {
	// The API server inside has defaults for the rest, and may be older than this field.
	if inside.UID == "" || inside.Spec.PreventPodSchedulingIfMissing != nil {
		inside.Spec.PreventPodSchedulingIfMissing = host.Spec.PreventPodSchedulingIfMissing
	}
	to, from := &inside.Spec, &host.Spec
	to.AttachRequired, to.PodInfoOnMount, to.VolumeLifecycleModes = from.AttachRequired, from.PodInfoOnMount, from.VolumeLifecycleModes
	to.StorageCapacity, to.FSGroupPolicy, to.RequiresRepublish = from.StorageCapacity, from.FSGroupPolicy, from.RequiresRepublish
	to.SELinuxMount, to.TokenRequests = from.SELinuxMount, nil
}

// csiNodes shows which of the shown drivers run on the shown nodes. It trusts no node inside, which a
// tenant may create under any name.
func (b *builder) csiNodes() {
	if b.Host.Nodes == nil || b.shownDrivers == nil {
		return // without the nodes, nothing tells of them
	}
	resource := storagev1.SchemeGroupVersion.WithResource(tenancyv1.ResourceCSINodes)
	store := func(client kubernetes.Interface, informers *engine.Informers, selector string) *engine.Store[*storagev1.CSINode] {
		return engine.NewStore(informers, resource, engine.Cluster(client.StorageV1().CSINodes), engine.StoreOptions{LabelSelector: selector})
	}
	host := store(b.Host.Client, b.Host.Informers, b.HostSelectors[resource.Resource])
	controller := showClass(b, store(b.Virtual.Client, b.Virtual.Informers, ""), host, class[*storagev1.CSINode]{
		withheld: func(name string) bool {
			_, shown := b.Host.Nodes.Get("", name)
			return !shown
		},
		copy: func(host, inside *storagev1.CSINode) { inside.Spec = b.csiNodeInside(host) },
	})
	b.watchEnds(controller, b.Host.Nodes.Informer(), engine.SameKey)
	b.watchEnds(controller, b.shownDrivers.Informer(), func(driver any) []types.NamespacedName {
		var keys []types.NamespacedName
		for _, node := range host.List() {
			if slices.ContainsFunc(node.Spec.Drivers, func(d storagev1.CSINodeDriver) bool { return d.Name == driver.(*storagev1.CSIDriver).Name }) {
				keys = append(keys, engine.KeyOf(node))
			}
		}
		return keys
	})
}

// csiNodeInside is what tenants may know of the drivers on a node. The ID that a driver gives the node
// is the infrastructure's, and topology consists of labels that may be hidden.
func (b *builder) csiNodeInside(host *storagev1.CSINode) storagev1.CSINodeSpec {
	spec := storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{}}
	for _, driver := range host.Spec.Drivers {
		if _, shown := b.shownDrivers.Get("", driver.Name); !shown {
			continue
		}
		spec.Drivers = append(spec.Drivers, storagev1.CSINodeDriver{
			Name: driver.Name, NodeID: host.Name, Allocatable: driver.Allocatable,
			TopologyKeys: slices.DeleteFunc(slices.Clone(driver.TopologyKeys), b.Host.shown.hides),
		})
	}
	return spec
}
