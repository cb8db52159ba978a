// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	typeddiscoveryv1 "k8s.io/client-go/kubernetes/typed/discovery/v1"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/translate"
)

const (
	// foreignSlices selects the slices that the control plane did not make from a
	// Service's selector. Those it did make are made on each side by itself.
	foreignSlices = discoveryv1.LabelManagedBy + "!=endpointslice-controller.k8s.io," + discoveryv1.LabelServiceName

	// indexNode finds pods by the node that they are bound to.
	indexNode = "node"
	// indexConfigMap, indexSecret and indexClaim find virtual pods by what they refer to.
	indexConfigMap = "configmap"
	indexSecret    = "secret"
	indexClaim     = "claim"
	// indexService finds slices by the Service that they belong to.
	indexService = "service"
)

// Virtual caches the objects of the virtual cluster.
type Virtual struct {
	Client         kubernetes.Interface
	Pods           *engine.Store[*corev1.Pod]
	Services       *engine.Store[*corev1.Service]
	ConfigMaps     *engine.Store[*corev1.ConfigMap]
	Secrets        *engine.Store[*corev1.Secret]
	Claims         *engine.Store[*corev1.PersistentVolumeClaim]
	Volumes        *engine.Store[*corev1.PersistentVolume]
	EndpointSlices *engine.Store[*discoveryv1.EndpointSlice]
	Nodes          *engine.Store[*corev1.Node]
	Namespaces     *engine.Store[*corev1.Namespace]
}

// NewVirtual returns caches over the client of the virtual cluster. The data of
// configmaps and secrets is not kept: a tenant may have any amount of it, of which few is synced.
func NewVirtual(client kubernetes.Interface) *Virtual {
	core, discovery := client.CoreV1(), client.DiscoveryV1()
	return &Virtual{
		Client: client,
		Pods: engine.NewStore[*corev1.Pod, *corev1.PodList](client, func(ns string) typedcorev1.PodInterface { return core.Pods(ns) }, &corev1.Pod{}, engine.StoreOptions{
			Indexers: cache.Indexers{
				cache.NamespaceIndex: cache.MetaNamespaceIndexFunc,
				indexNode:            podsByNode,
				indexConfigMap:       podsByReference(func(r references) []string { return r.configMaps }),
				indexSecret:          podsByReference(func(r references) []string { return r.secrets }),
				indexClaim:           podsByReference(func(r references) []string { return r.claims }),
			},
		}),
		Services: engine.NewStore[*corev1.Service, *corev1.ServiceList](client, func(ns string) typedcorev1.ServiceInterface { return core.Services(ns) }, &corev1.Service{}, engine.StoreOptions{
			Indexers: cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc},
		}),
		ConfigMaps: engine.NewStore[*corev1.ConfigMap, *corev1.ConfigMapList](client, func(ns string) typedcorev1.ConfigMapInterface { return core.ConfigMaps(ns) }, &corev1.ConfigMap{}, engine.StoreOptions{
			Strip: func(object any) {
				if configMap, ok := object.(*corev1.ConfigMap); ok {
					configMap.Data, configMap.BinaryData, configMap.Annotations = nil, nil, nil
				}
			},
		}),
		Secrets: engine.NewStore[*corev1.Secret, *corev1.SecretList](client, func(ns string) typedcorev1.SecretInterface { return core.Secrets(ns) }, &corev1.Secret{}, engine.StoreOptions{
			Strip: func(object any) {
				if secret, ok := object.(*corev1.Secret); ok {
					secret.Data, secret.Annotations = nil, nil
				}
			},
		}),
		Claims: engine.NewStore[*corev1.PersistentVolumeClaim, *corev1.PersistentVolumeClaimList](client, func(ns string) typedcorev1.PersistentVolumeClaimInterface {
			return core.PersistentVolumeClaims(ns)
		}, &corev1.PersistentVolumeClaim{}, engine.StoreOptions{}),
		Volumes: engine.NewStore[*corev1.PersistentVolume, *corev1.PersistentVolumeList](client, func(string) typedcorev1.PersistentVolumeInterface { return core.PersistentVolumes() }, &corev1.PersistentVolume{}, engine.StoreOptions{}),
		EndpointSlices: engine.NewStore[*discoveryv1.EndpointSlice, *discoveryv1.EndpointSliceList](client, func(ns string) typeddiscoveryv1.EndpointSliceInterface {
			return discovery.EndpointSlices(ns)
		}, &discoveryv1.EndpointSlice{}, engine.StoreOptions{
			LabelSelector: foreignSlices,
			Indexers:      cache.Indexers{indexService: slicesByService},
		}),
		Nodes:      engine.NewStore[*corev1.Node, *corev1.NodeList](client, func(string) typedcorev1.NodeInterface { return core.Nodes() }, &corev1.Node{}, engine.StoreOptions{}),
		Namespaces: engine.NewStore[*corev1.Namespace, *corev1.NamespaceList](client, func(string) typedcorev1.NamespaceInterface { return core.Namespaces() }, &corev1.Namespace{}, engine.StoreOptions{}),
	}
}

// Informers feed the caches.
func (v *Virtual) Informers() []cache.SharedIndexInformer {
	return []cache.SharedIndexInformer{v.Pods.Informer(), v.Services.Informer(), v.ConfigMaps.Informer(), v.Secrets.Informer(),
		v.Claims.Informer(), v.Volumes.Informer(), v.EndpointSlices.Informer(), v.Nodes.Informer(), v.Namespaces.Informer()}
}

// PodLister lists the pods of the virtual cluster.
func (v *Virtual) PodLister() corev1listers.PodLister {
	return corev1listers.NewPodLister(v.Pods.Indexer())
}

// ServiceLister lists the services of the virtual cluster.
func (v *Virtual) ServiceLister() corev1listers.ServiceLister {
	return corev1listers.NewServiceLister(v.Services.Indexer())
}

// NodeLister lists the nodes of the virtual cluster.
func (v *Virtual) NodeLister() corev1listers.NodeLister {
	return corev1listers.NewNodeLister(v.Nodes.Indexer())
}

// Host caches the objects that were synced to the host, and only those.
type Host struct {
	Client         kubernetes.Interface
	Pods           *engine.Store[*corev1.Pod]
	Services       *engine.Store[*corev1.Service]
	ConfigMaps     *engine.Store[*corev1.ConfigMap]
	Secrets        *engine.Store[*corev1.Secret]
	Claims         *engine.Store[*corev1.PersistentVolumeClaim]
	EndpointSlices *engine.Store[*discoveryv1.EndpointSlice]
	// Nodes is nil unless the syncer may read the host's nodes.
	Nodes *engine.Store[*corev1.Node]
}

// NewHost returns caches over the client of the host cluster.
func NewHost(client kubernetes.Interface, cluster translate.Cluster, readNodes bool) *Host {
	core, discovery := client.CoreV1(), client.DiscoveryV1()
	options := engine.StoreOptions{
		Namespace:     cluster.HostNamespace,
		LabelSelector: tenancyv1.LabelCluster + "=" + cluster.ID,
	}
	pods := options
	pods.Indexers = cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc, indexNode: podsByNode}
	slices := options
	slices.LabelSelector += "," + discoveryv1.LabelManagedBy + "=" + sliceManager
	host := &Host{
		Client:     client,
		Pods:       engine.NewStore[*corev1.Pod, *corev1.PodList](client, func(ns string) typedcorev1.PodInterface { return core.Pods(ns) }, &corev1.Pod{}, pods),
		Services:   engine.NewStore[*corev1.Service, *corev1.ServiceList](client, func(ns string) typedcorev1.ServiceInterface { return core.Services(ns) }, &corev1.Service{}, options),
		ConfigMaps: engine.NewStore[*corev1.ConfigMap, *corev1.ConfigMapList](client, func(ns string) typedcorev1.ConfigMapInterface { return core.ConfigMaps(ns) }, &corev1.ConfigMap{}, options),
		Secrets:    engine.NewStore[*corev1.Secret, *corev1.SecretList](client, func(ns string) typedcorev1.SecretInterface { return core.Secrets(ns) }, &corev1.Secret{}, options),
		Claims: engine.NewStore[*corev1.PersistentVolumeClaim, *corev1.PersistentVolumeClaimList](client, func(ns string) typedcorev1.PersistentVolumeClaimInterface {
			return core.PersistentVolumeClaims(ns)
		}, &corev1.PersistentVolumeClaim{}, options),
		EndpointSlices: engine.NewStore[*discoveryv1.EndpointSlice, *discoveryv1.EndpointSliceList](client, func(ns string) typeddiscoveryv1.EndpointSliceInterface {
			return discovery.EndpointSlices(ns)
		}, &discoveryv1.EndpointSlice{}, slices),
	}
	if readNodes {
		host.Nodes = engine.NewStore[*corev1.Node, *corev1.NodeList](client, func(string) typedcorev1.NodeInterface { return core.Nodes() }, &corev1.Node{}, engine.StoreOptions{})
	}
	return host
}

// Informers feed the caches.
func (h *Host) Informers() []cache.SharedIndexInformer {
	informers := []cache.SharedIndexInformer{h.Pods.Informer(), h.Services.Informer(), h.ConfigMaps.Informer(), h.Secrets.Informer(),
		h.Claims.Informer(), h.EndpointSlices.Informer()}
	if h.Nodes != nil {
		informers = append(informers, h.Nodes.Informer())
	}
	return informers
}

// PodLister lists the synced pods on the host.
func (h *Host) PodLister() corev1listers.PodLister {
	return corev1listers.NewPodLister(h.Pods.Indexer())
}

// SecretLister lists the secrets that the syncer made on the host.
func (h *Host) SecretLister() corev1listers.SecretLister {
	return corev1listers.NewSecretLister(h.Secrets.Indexer())
}

func podsByNode(object any) ([]string, error) {
	if pod, ok := object.(*corev1.Pod); ok && pod.Spec.NodeName != "" {
		return []string{pod.Spec.NodeName}, nil
	}
	return nil, nil
}

func slicesByService(object any) ([]string, error) {
	slice, ok := object.(*discoveryv1.EndpointSlice)
	if !ok {
		return nil, nil
	}
	return []string{slice.Namespace + "/" + slice.Labels[discoveryv1.LabelServiceName]}, nil
}
