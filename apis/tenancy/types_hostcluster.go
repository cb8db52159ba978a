// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// HostCluster is a cluster that virtual clusters run on. The one named local, which Garret
// itself runs on, always exists.
type HostCluster struct {
	metav1.TypeMeta
	// metadata is the standard object metadata.
	metav1.ObjectMeta
	// spec applies to all virtual clusters on this host cluster.
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

// HostClusterSpec applies to all virtual clusters on a host cluster.
type HostClusterSpec struct {
	// defaultTemplateRef names the template of virtual clusters that name none. It takes
	// precedence over the template that is marked as default.
	DefaultTemplateRef *LocalTemplateReference
	// maxVirtualClusters is how many virtual clusters the host cluster may have. There is no
	// limit when it is not set. Existing ones stay.
	MaxVirtualClusters *int32
	// isolation limits and extends what virtual clusters may do on the host cluster.
	Isolation HostIsolation
	// sleep limits when Garret puts virtual clusters to sleep and deletes them without being
	// asked.
	Sleep HostSleep
}

// HostSleep limits spec.sleep of virtual clusters. Existing ones keep their values until
// somebody changes them.
type HostSleep struct {
	// maxAfterInactivity is the maximum of spec.sleep.afterInactivity of a virtual cluster, and
	// its default. At least 1m; there is no maximum when it is not set.
	MaxAfterInactivity *metav1.Duration
	// minDeleteAfterInactivity is the minimum of spec.sleep.deleteAfterInactivity of a virtual
	// cluster. At least 1h, which is also the default.
	MinDeleteAfterInactivity *metav1.Duration
	// denyWakeOnTraffic forbids spec.sleep.wakeOnTraffic, because garret-controller then accepts
	// connections for tenants. It applies at once, also to virtual clusters that have the field.
	DenyWakeOnTraffic bool
}

// HostIsolation is what the host's administrator decides about the isolation of all virtual
// clusters. What it allows is open to the tenants of each of them.
type HostIsolation struct {
	// inlineVolumeDrivers are the CSI drivers that pods may name in an inline volume. No pod
	// may use one when it is not set, because such a volume tells the driver what to open.
	InlineVolumeDrivers []string
	// deviceConfigDrivers are the drivers of devices that ResourceClaims may configure. None may
	// be configured when not set: a driver reads such a configuration with its rights on a node.
	DeviceConfigDrivers []string
	// endpointRanges are the ranges, such as 192.0.2.0/24, that an EndpointSlice of a
	// Service without selector may name, besides the addresses of the virtual cluster's own pods.
	EndpointRanges []string
	// externalIPRanges are the ranges, such as 192.0.2.0/24, that Services may name in
	// spec.externalIPs. The host's nodes send the traffic of these addresses to the Service.
	ExternalIPRanges []string
	// egressRanges are the ranges that pods and control planes of virtual clusters may
	// reach, besides their own pods, DNS and their own API.
	EgressRanges []string
	// allowedAnnotations are keys of annotations of pods, services, ingresses and volume claims
	// that the syncer copies to the host, besides those in docs/isolation.md. A * at the end of
	// a key stands for any ending. What a key opens on the host is open to the tenants of each
	// virtual cluster.
	AllowedAnnotations []string
	// deniedAnnotations are keys of annotations that stay inside, even where another field
	// allows them.
	DeniedAnnotations []string
	// allowedLabels are keys of labels of pods, services, ingresses and volume claims that the
	// syncer also copies to the host unchanged. It copies all labels under keys of its own.
	// Selectors of the host, such as those of its Services and NetworkPolicies, may match the
	// unchanged ones.
	AllowedLabels []string
	// pods are rules for the pods of all virtual clusters. Entry by entry, they override
	// spec.syncer.pods of a virtual cluster and what a pod itself asks for.
	Pods PodRules
	// allowedPodRules are the labels, annotations and priority classes of the host that
	// spec.syncer.pods of a virtual cluster may give to pods. None by default.
	AllowedPodRules AllowedPodRules
	// allowedStorage says which PersistentVolumes and StorageClasses of virtual clusters may be
	// on the host. None by default.
	AllowedStorage AllowedStorage
	// quota is the maximum of spec.isolation.quota of a virtual cluster, and its default.
	// Existing virtual clusters keep their quota until somebody changes it.
	Quota QuotaSpec
}

// LocalTemplateReference names a VirtualClusterTemplate.
type LocalTemplateReference struct {
	// name of the template.
	Name string
	// version of the template; defaults to the highest one that is not a pre-release.
	Version string
}

// HostClusterStatus is the observed state of a host cluster.
type HostClusterStatus struct {
	// conditions has Ready, which is true while Garret can deploy to the host cluster.
	Conditions []metav1.Condition
	// observedGeneration is the generation that the controller acted on last.
	ObservedGeneration int64
	// kubernetesVersion is the version that the host cluster's API server reports.
	KubernetesVersion string
	// virtualClusters is how many virtual clusters the host cluster has.
	VirtualClusters int32
}
