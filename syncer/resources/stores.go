// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
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
	// indexVirtualNamespace finds host pods by the namespace that they have inside.
	indexVirtualNamespace = "virtual-namespace"
	// indexConfigMap and indexSecret find virtual pods, and ingresses, by what they refer to.
	indexConfigMap = "configmap"
	indexSecret    = "secret"
	// indexDevices finds virtual pods by the claims of devices that they refer to.
	indexDevices = "devices"
	// indexCertificate finds ingresses by the secrets of their certificates.
	indexCertificate = "certificate"
	// indexVolume finds host claims by the volume that they are bound to.
	indexVolume = "volume"
	// indexService finds slices by the Service that they belong to.
	indexService = "service"
	// indexAddress finds slices inside, and pods on the host, by their addresses.
	indexAddress = "address"
)

// Virtual caches the objects of the virtual cluster.
type Virtual struct {
	*engine.Informers
	Client         kubernetes.Interface
	Pods           *engine.Store[*corev1.Pod]
	Services       *engine.Store[*corev1.Service]
	ConfigMaps     *engine.Store[*corev1.ConfigMap]
	Secrets        *engine.Store[*corev1.Secret]
	Claims         *engine.Store[*corev1.PersistentVolumeClaim]
	Volumes        *engine.Store[*corev1.PersistentVolume]
	EndpointSlices *engine.Store[*discoveryv1.EndpointSlice]
	Ingresses      *engine.Store[*networkingv1.Ingress]
	// RuntimeClasses are the tenant's, and those that are shown of the host.
	RuntimeClasses *engine.Store[*nodev1.RuntimeClass]
	Nodes          *engine.Store[*corev1.Node]
	Namespaces     *engine.Store[*corev1.Namespace]
}

// NewVirtual returns caches over the client of the virtual cluster. The data of
// configmaps and secrets is not kept: a tenant may have any amount of it, of which few is synced.
func NewVirtual(client kubernetes.Interface) *Virtual {
	typed, informers := client.CoreV1(), engine.NewInformers(client)
	byNamespace := engine.StoreOptions{Indexers: cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}}
	return &Virtual{
		Client: client, Informers: informers,
		Pods: engine.NewStore(informers, core(tenancyv1.ResourcePods), typed.Pods, engine.StoreOptions{
			Indexers: cache.Indexers{
				cache.NamespaceIndex: cache.MetaNamespaceIndexFunc,
				indexNode:            podsByNode,
				indexConfigMap:       podsByReference(references.ofConfigMaps),
				indexSecret:          podsByReference(references.ofSecrets),
				indexDevices:         podsByReference(references.ofDevices),
			},
		}),
		Services: engine.NewStore(informers, core(tenancyv1.ResourceServices), typed.Services, byNamespace),
		ConfigMaps: engine.NewStore(informers, core(tenancyv1.ResourceConfigMaps), typed.ConfigMaps, engine.StoreOptions{
			Strip: func(object any) {
				if configMap, ok := object.(*corev1.ConfigMap); ok {
					configMap.Data, configMap.BinaryData, configMap.Annotations = nil, nil, onlyShownAs(configMap)
				}
			},
		}),
		Secrets: engine.NewStore(informers, core(tenancyv1.ResourceSecrets), typed.Secrets, engine.StoreOptions{
			Strip: func(object any) {
				if secret, ok := object.(*corev1.Secret); ok {
					secret.Data, secret.Annotations = nil, onlyShownAs(secret)
				}
			},
		}),
		Claims:  engine.NewStore(informers, core(tenancyv1.ResourceClaims), typed.PersistentVolumeClaims, engine.StoreOptions{}),
		Volumes: engine.NewStore(informers, core("persistentvolumes"), engine.Cluster(typed.PersistentVolumes), engine.StoreOptions{}),
		EndpointSlices: engine.NewStore(informers, discoveryv1.SchemeGroupVersion.WithResource(tenancyv1.ResourceEndpointSlices), client.DiscoveryV1().EndpointSlices, engine.StoreOptions{
			LabelSelector: foreignSlices,
			Indexers:      cache.Indexers{indexService: slicesByService, indexAddress: byAddress(sliceAddresses)},
		}),
		Ingresses: engine.NewStore(informers, networkingv1.SchemeGroupVersion.WithResource(tenancyv1.ResourceIngresses), client.NetworkingV1().Ingresses, engine.StoreOptions{
			Indexers: cache.Indexers{indexSecret: ingressesBySecret, indexCertificate: ingressesByCertificate},
		}),
		RuntimeClasses: engine.NewStore(informers, nodev1.SchemeGroupVersion.WithResource(tenancyv1.ResourceRuntimeClasses), engine.Cluster(client.NodeV1().RuntimeClasses), engine.StoreOptions{}),
		Nodes:          engine.NewStore(informers, core("nodes"), engine.Cluster(typed.Nodes), engine.StoreOptions{}),
		Namespaces:     engine.NewStore(informers, core("namespaces"), engine.Cluster(typed.Namespaces), engine.StoreOptions{}),
	}
}

// PodLister lists the pods of the virtual cluster.
func (v *Virtual) PodLister() corev1listers.PodLister {
	return corev1listers.NewPodLister(v.Pods.Indexer())
}

// NodeLister lists the nodes inside.
func (v *Virtual) NodeLister() corev1listers.NodeLister {
	return corev1listers.NewNodeLister(v.Nodes.Indexer())
}

// Host caches the objects that were synced to the host, and only those.
type Host struct {
	*engine.Informers
	Client         kubernetes.Interface
	Pods           *engine.Store[*corev1.Pod]
	Services       *engine.Store[*corev1.Service]
	ConfigMaps     *engine.Store[*corev1.ConfigMap]
	Secrets        *engine.Store[*corev1.Secret]
	Claims         *engine.Store[*corev1.PersistentVolumeClaim]
	EndpointSlices *engine.Store[*discoveryv1.EndpointSlice]
	Ingresses      *engine.Store[*networkingv1.Ingress]
	// Issued are Secrets with certificates that somebody on the host issued for ingresses.
	// Their data are not kept.
	Issued *engine.Store[*corev1.Secret]
	// Nodes are those that are shown inside as they are, without what they say of images and
	// volumes. It is nil unless the syncer may read the host's nodes.
	Nodes *engine.Store[*corev1.Node]
	// shown says what of them.
	shown ShownNodes
}

// NewHost returns caches over the client of the host cluster.
func NewHost(client kubernetes.Interface, cluster translate.Cluster, nodes ShownNodes) *Host {
	typed, informers := client.CoreV1(), engine.NewInformers(client)
	options := marked(cluster)
	pods, claims, slices, ingresses := options, options, options, options
	ingresses.Indexers = cache.Indexers{indexCertificate: ingressesByCertificate}
	pods.Indexers = cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc, indexNode: podsByNode,
		indexAddress: byAddress(podAddresses), indexVirtualNamespace: podsByVirtualNamespace}
	claims.Indexers = cache.Indexers{indexVolume: claimsByVolume}
	slices.LabelSelector += "," + discoveryv1.LabelManagedBy + "=" + sliceManager
	host := &Host{
		Client: client, Informers: informers, shown: nodes,
		Pods:           engine.NewStore(informers, core(tenancyv1.ResourcePods), typed.Pods, pods),
		Services:       engine.NewStore(informers, core(tenancyv1.ResourceServices), typed.Services, options),
		ConfigMaps:     engine.NewStore(informers, core(tenancyv1.ResourceConfigMaps), typed.ConfigMaps, options),
		Secrets:        engine.NewStore(informers, core(tenancyv1.ResourceSecrets), typed.Secrets, options),
		Claims:         engine.NewStore(informers, core(tenancyv1.ResourceClaims), typed.PersistentVolumeClaims, claims),
		EndpointSlices: engine.NewStore(informers, discoveryv1.SchemeGroupVersion.WithResource(tenancyv1.ResourceEndpointSlices), client.DiscoveryV1().EndpointSlices, slices),
		Ingresses:      engine.NewStore(informers, networkingv1.SchemeGroupVersion.WithResource(tenancyv1.ResourceIngresses), client.NetworkingV1().Ingresses, ingresses),
		Issued: engine.NewStore(informers, core(tenancyv1.ResourceSecrets), typed.Secrets, engine.StoreOptions{
			Namespace: cluster.HostNamespace, LabelSelector: tenancyv1.LabelIssuedFor + "=" + cluster.ID, FieldSelector: "type=" + string(corev1.SecretTypeTLS),
			Strip: func(object any) {
				if secret, ok := object.(*corev1.Secret); ok {
					secret.Data, secret.Annotations = nil, nil
				}
			},
		}),
	}
	if nodes.Read {
		host.Nodes = engine.NewStore(informers, core(tenancyv1.ResourceNodes), engine.Cluster(typed.Nodes), engine.StoreOptions{
			LabelSelector: nodes.Selector,
			Strip: func(object any) {
				if node, ok := object.(*corev1.Node); ok {
					node.Status.Images, node.Status.VolumesAttached, node.Status.VolumesInUse = nil, nil, nil
				}
			},
		})
	}
	return host
}

// marked narrows a store of the host to what was synced for the cluster.
func marked(cluster translate.Cluster) engine.StoreOptions {
	return engine.StoreOptions{Namespace: cluster.HostNamespace, LabelSelector: tenancyv1.LabelCluster + "=" + cluster.ID}
}

func core(resource string) schema.GroupVersionResource {
	return corev1.SchemeGroupVersion.WithResource(resource)
}

// PodLister lists the synced pods on the host.
func (h *Host) PodLister() corev1listers.PodLister {
	return corev1listers.NewPodLister(h.Pods.Indexer())
}

func podsByNode(object any) ([]string, error) {
	if pod, ok := object.(*corev1.Pod); ok && pod.Spec.NodeName != "" {
		return []string{pod.Spec.NodeName}, nil
	}
	return nil, nil
}

func podsByVirtualNamespace(object any) ([]string, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return nil, nil
	}
	return []string{pod.Annotations[tenancyv1.AnnotationVirtualNamespace]}, nil
}

func byAddress(addresses func(object any) []string) cache.IndexFunc {
	return func(object any) ([]string, error) { return addresses(object), nil }
}

func slicesByService(object any) ([]string, error) {
	slice, ok := object.(*discoveryv1.EndpointSlice)
	if !ok {
		return nil, nil
	}
	return []string{slice.Namespace + "/" + slice.Labels[discoveryv1.LabelServiceName]}, nil
}
