// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

const (
	// capacityNamespace is where capacities are inside. On the host, they are where their drivers are.
	capacityNamespace = metav1.NamespaceSystem
	// capacityPrefix begins the names inside. The host's names are unique in a namespace only.
	capacityPrefix = "csisc-"
	// indexInside finds capacities of the host by their names inside.
	indexInside = "inside"
)

// csiCapacities shows how much room the shown classes have for the shown nodes.
type csiCapacities struct {
	*builder
	host *engine.Store[*storagev1.CSIStorageCapacity]
}

func (b *builder) csiCapacities() {
	if b.Host.Nodes == nil || b.shownStorage == nil {
		return // without nodes and classes, nothing tells of them
	}
	resource := storagev1.SchemeGroupVersion.WithResource(tenancyv1.ResourceCSICapacities)
	virtual := engine.NewStore(b.Virtual.Informers, resource, b.Virtual.Client.StorageV1().CSIStorageCapacities, engine.StoreOptions{})
	c := &csiCapacities{b, engine.NewStore(b.Host.Informers, resource, b.Host.Client.StorageV1().CSIStorageCapacities, engine.StoreOptions{
		LabelSelector: b.HostSelectors[resource.Resource],
		Indexers:      cache.Indexers{indexInside: func(object any) ([]string, error) { return []string{capacityName(object)}, nil }},
	})}
	controller := mirrored(b, &mirror[*storagev1.CSIStorageCapacity]{virtual: virtual, fate: c.fate, apply: c.apply,
		onHost: func(name string) (engine.Object, bool) { return object(c.of(name)) },
		source: func(inside *storagev1.CSIStorageCapacity) string {
			if host, there := c.of(inside.Name); there {
				return host.Name
			}
			return inside.Name
		},
	})
	b.watch(controller, c.host.Informer(), func(host any) []types.NamespacedName { return []types.NamespacedName{capacityKey(host)} })
	b.watchEnds(controller, b.shownStorage.Informer(), func(class any) []types.NamespacedName {
		return c.which(func(host *storagev1.CSIStorageCapacity) bool {
			return host.StorageClassName == class.(*storagev1.StorageClass).Name
		})
	})
	b.watch(controller, b.Host.Nodes.Informer(), func(node any) []types.NamespacedName {
		return c.which(func(host *storagev1.CSIStorageCapacity) bool { return reaches(host, node.(*corev1.Node)) })
	})
}

// capacityName is the name inside.
func capacityName(host any) string {
	return capacityPrefix + string(host.(*storagev1.CSIStorageCapacity).UID)
}

func capacityKey(host any) types.NamespacedName {
	return types.NamespacedName{Namespace: capacityNamespace, Name: capacityName(host)}
}

// which are the keys inside of some capacities.
func (c *csiCapacities) which(is func(*storagev1.CSIStorageCapacity) bool) []types.NamespacedName {
	var keys []types.NamespacedName
	for _, host := range c.host.List() {
		if is(host) {
			keys = append(keys, capacityKey(host))
		}
	}
	return keys
}

// of is the host's capacity that the name inside stands for.
func (c *csiCapacities) of(name string) (*storagev1.CSIStorageCapacity, bool) {
	for _, host := range c.host.ByIndex(indexInside, name) {
		return host, true
	}
	return nil, false
}

// fate shows what tells of a class and a node that are shown. It goes by the host's nodes alone.
func (c *csiCapacities) fate(key types.NamespacedName, inside *storagev1.CSIStorageCapacity, found bool) (fate, error) {
	if found && !isShown(inside, tenancyv1.LabelCluster, c.Translator.Cluster().ID) {
		return fate{kept: true}, nil
	}
	host, there := c.of(key.Name)
	if !there || key.Namespace != capacityNamespace {
		return fate{}, nil
	}
	if _, shown := c.shownStorage.Get("", host.StorageClassName); !shown || c.hidden(host.NodeTopology) {
		return fate{}, nil
	}
	if !slices.ContainsFunc(c.Host.Nodes.List(), func(node *corev1.Node) bool { return reaches(host, node) }) {
		return fate{}, nil
	}
	// Neither can be changed: the object goes, and comes back as it should be.
	same := !found || inside.StorageClassName == host.StorageClassName && equality.Semantic.DeepEqual(inside.NodeTopology, host.NodeTopology)
	return fate{shown: same}, nil
}

// hidden says whether a selector of nodes is about labels that nodes do not have inside.
func (c *csiCapacities) hidden(topology *metav1.LabelSelector) bool {
	if topology == nil {
		return false
	}
	keys := slices.Collect(maps.Keys(topology.MatchLabels))
	for _, expression := range topology.MatchExpressions {
		keys = append(keys, expression.Key)
	}
	return slices.ContainsFunc(keys, c.Host.shown.hides)
}

// reaches says whether the storage can be reached from the node; no selector is for no node.
func reaches(host *storagev1.CSIStorageCapacity, node *corev1.Node) bool {
	selector, err := metav1.LabelSelectorAsSelector(host.NodeTopology)
	return err == nil && selector.Matches(labels.Set(node.Labels))
}

// apply copies what the host's says, without what it says of the driver's own objects.
func (c *csiCapacities) apply(inside *storagev1.CSIStorageCapacity) {
	host, there := c.of(inside.Name)
	if !there {
		return // it is going
	}
	if inside.UID == "" {
		inside.StorageClassName, inside.NodeTopology = host.StorageClassName, host.NodeTopology.DeepCopy()
	}
	inside.Capacity, inside.MaximumVolumeSize = host.Capacity, host.MaximumVolumeSize
	show(inside, tenancyv1.LabelCluster, c.Translator.Cluster().ID)
}
