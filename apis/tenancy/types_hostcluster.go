// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// HostCluster is a cluster that virtual clusters run on. The one called local,
// which Garret itself runs on, is always there.
type HostCluster struct {
	metav1.TypeMeta
	// metadata is the standard object metadata.
	metav1.ObjectMeta
	// spec is what holds for virtual clusters on this host cluster.
	Spec HostClusterSpec
	// status is what Garret observed last.
	Status HostClusterStatus
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// HostClusterList is a list of host clusters.
type HostClusterList struct {
	metav1.TypeMeta
	// metadata is the standard list metadata.
	metav1.ListMeta
	// items are the host clusters.
	Items []HostCluster
}

// HostClusterSpec is what holds for virtual clusters on a host cluster.
type HostClusterSpec struct {
	// defaultTemplateRef names the template of virtual clusters that name none.
	// It goes before the template that is marked as default.
	DefaultTemplateRef *LocalTemplateReference
	// maxVirtualClusters is how many virtual clusters there may be on the host
	// cluster. No limit when not set. Those that are there already stay.
	MaxVirtualClusters *int32
	// isolation bounds and widens what virtual clusters do on the host cluster.
	Isolation HostIsolation
	// sleep bounds when virtual clusters fall asleep and are deleted by themselves.
	Sleep HostSleep
}

// HostSleep bounds spec.sleep of virtual clusters. Those that are there already keep theirs
// until they change it.
type HostSleep struct {
	// maxAfterInactivity is the most that spec.sleep.afterInactivity of a virtual cluster may
	// be, and what it is where nobody sets it. At least 1m; no bound when not set.
	MaxAfterInactivity *metav1.Duration
	// minDeleteAfterInactivity is the least that spec.sleep.deleteAfterInactivity of a virtual
	// cluster may be. At least 1h, which is the bound when not set.
	MinDeleteAfterInactivity *metav1.Duration
}

// HostIsolation is what the host's administrator decides about the isolation of all
// virtual clusters. What is named here is open to the tenants of each of them.
type HostIsolation struct {
	// inlineVolumeDrivers are the CSI drivers that pods may name in an inline volume.
	// No pod may use one when not set: such a volume names what the driver opens for it.
	InlineVolumeDrivers []string
	// deviceConfigDrivers are the drivers of devices that ResourceClaims may configure. None may
	// be configured when not set: a driver reads such a configuration with its rights on a node.
	DeviceConfigDrivers []string
	// endpointRanges are the ranges, such as 192.0.2.0/24, that an EndpointSlice of a
	// Service without selector may name, besides the addresses of the virtual cluster's own pods.
	EndpointRanges []string
	// externalIPRanges are the ranges, such as 192.0.2.0/24, that Services may name in
	// spec.externalIPs: the host's nodes send a Service what comes for these addresses.
	ExternalIPRanges []string
	// egressRanges are the ranges that pods and control planes of virtual clusters may
	// reach, besides their own pods, DNS and their own API.
	EgressRanges []string
	// allowedAnnotations are keys of annotations of pods, services, ingresses and volume claims
	// that reach the host, besides those that docs/isolation.md lists. A * at the end of a key
	// stands for any end. What a key opens on the host is open to the tenants of each virtual cluster.
	AllowedAnnotations []string
	// deniedAnnotations are keys of annotations that stay inside, whatever allows them.
	DeniedAnnotations []string
	// allowedLabels are keys of labels of pods, services, ingresses and volume claims that
	// the host objects have as they are, besides having all under keys of their own. Selectors
	// of the host, such as those of its Services and NetworkPolicies, may match them.
	AllowedLabels []string
	// pods are rules for the pods of all virtual clusters. They come before spec.syncer.pods of a
	// virtual cluster, and before what a pod says itself, for each name by itself.
	Pods PodRules
	// allowedPodRules are the labels, annotations and priority classes of the host that spec.syncer.pods
	// of a virtual cluster may give to pods. None when not set.
	AllowedPodRules AllowedPodRules
	// quota is the most that spec.isolation.quota of a virtual cluster may be, and what it is
	// where nobody sets it. Virtual clusters that are there already keep theirs until they change it.
	Quota QuotaSpec
}

// LocalTemplateReference names a VirtualClusterTemplate.
type LocalTemplateReference struct {
	// name of the template.
	Name string
	// version of the template; the highest that is no pre-release when not set.
	Version string
}

// HostClusterStatus is the observed state of a host cluster.
type HostClusterStatus struct {
	// conditions has Ready, which is true while Garret can deploy to the host cluster.
	Conditions []metav1.Condition
	// observedGeneration is the generation that the controller acted on last.
	ObservedGeneration int64
	// kubernetesVersion is what the API server of the host cluster calls itself.
	KubernetesVersion string
	// virtualClusters is how many virtual clusters there are on the host cluster.
	VirtualClusters int32
}
