// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// +genclient
// +genclient:nonNamespaced
// +k8s:supportsSubresource="/status"
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// HostCluster is a cluster that virtual clusters run on. The one named local, which Garret
// itself runs on, always exists.
type HostCluster struct {
	// +k8s:opaqueType
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	// +k8s:opaqueType
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec applies to all virtual clusters on this host cluster.
	// +optional
	Spec HostClusterSpec `json:"spec,omitempty"`
	// status is what Garret observed last.
	// +optional
	Status HostClusterStatus `json:"status,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// HostClusterList is a list of host clusters.
type HostClusterList struct {
	// +k8s:opaqueType
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	// +k8s:opaqueType
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the host clusters.
	Items []HostCluster `json:"items"`
}

// HostClusterSpec applies to all virtual clusters on a host cluster.
type HostClusterSpec struct {
	// defaultTemplateRef names the template of virtual clusters that name none. It takes
	// precedence over the template that is marked as default.
	// +optional
	// +k8s:optional
	DefaultTemplateRef *LocalTemplateReference `json:"defaultTemplateRef,omitempty"`
	// maxVirtualClusters is how many virtual clusters the host cluster may have. There is no
	// limit when it is not set. Existing ones stay.
	// +optional
	// +k8s:optional
	// +k8s:minimum=0
	MaxVirtualClusters *int32 `json:"maxVirtualClusters,omitempty"`
	// isolation limits and extends what virtual clusters may do on the host cluster.
	// +optional
	Isolation HostIsolation `json:"isolation,omitempty"`
	// sleep limits when Garret puts virtual clusters to sleep and deletes them without being
	// asked.
	// +optional
	Sleep HostSleep `json:"sleep,omitempty,omitzero"`
}

// HostSleep limits spec.sleep of virtual clusters. Existing ones keep their values until
// somebody changes them.
type HostSleep struct {
	// maxAfterInactivity is the maximum of spec.sleep.afterInactivity of a virtual cluster, and
	// its default. At least 1m; there is no maximum when it is not set.
	// +optional
	// +k8s:optional
	// +k8s:opaqueType
	MaxAfterInactivity *metav1.Duration `json:"maxAfterInactivity,omitempty"`
	// minDeleteAfterInactivity is the minimum of spec.sleep.deleteAfterInactivity of a virtual
	// cluster. At least 1h, which is also the default.
	// +optional
	// +k8s:optional
	// +k8s:opaqueType
	MinDeleteAfterInactivity *metav1.Duration `json:"minDeleteAfterInactivity,omitempty"`
	// denyWakeOnTraffic forbids spec.sleep.wakeOnTraffic, because garret-controller then accepts
	// connections for tenants. It applies at once, also to virtual clusters that have the field.
	// +optional
	// +k8s:optional
	DenyWakeOnTraffic bool `json:"denyWakeOnTraffic,omitempty"`
}

// HostIsolation is what the host's administrator decides about the isolation of all virtual
// clusters. What it allows is open to the tenants of each of them.
type HostIsolation struct {
	// inlineVolumeDrivers are the CSI drivers that pods may name in an inline volume. No pod
	// may use one when it is not set, because such a volume tells the driver what to open.
	// +optional
	// +listType=set
	// +k8s:optional
	// +k8s:listType=atomic
	// +k8s:unique=set
	// +k8s:maxItems=32
	InlineVolumeDrivers []string `json:"inlineVolumeDrivers,omitempty"`
	// deviceConfigDrivers are the drivers of devices that ResourceClaims may configure. None may
	// be configured when not set: a driver reads such a configuration with its rights on a node.
	// +optional
	// +listType=set
	// +k8s:optional
	// +k8s:listType=atomic
	// +k8s:unique=set
	// +k8s:maxItems=32
	DeviceConfigDrivers []string `json:"deviceConfigDrivers,omitempty"`
	// endpointRanges are the ranges, such as 192.0.2.0/24, that an EndpointSlice of a
	// Service without selector may name, besides the addresses of the virtual cluster's own pods.
	// +optional
	// +listType=set
	// +k8s:optional
	// +k8s:listType=atomic
	// +k8s:unique=set
	// +k8s:maxItems=64
	EndpointRanges []string `json:"endpointRanges,omitempty"`
	// externalIPRanges are the ranges, such as 192.0.2.0/24, that Services may name in
	// spec.externalIPs. The host's nodes send the traffic of these addresses to the Service.
	// +optional
	// +listType=set
	// +k8s:optional
	// +k8s:listType=atomic
	// +k8s:unique=set
	// +k8s:maxItems=64
	ExternalIPRanges []string `json:"externalIPRanges,omitempty"`
	// egressRanges are the ranges that pods and control planes of virtual clusters may
	// reach, besides their own pods, DNS and their own API.
	// +optional
	// +listType=set
	// +k8s:optional
	// +k8s:listType=atomic
	// +k8s:unique=set
	// +k8s:maxItems=64
	EgressRanges []string `json:"egressRanges,omitempty"`
	// allowedAnnotations are keys of annotations of pods, services, ingresses and volume claims
	// that the syncer copies to the host, besides those in docs/isolation.md. A * at the end of
	// a key stands for any ending. What a key opens on the host is open to the tenants of each
	// virtual cluster.
	// +optional
	// +listType=set
	// +k8s:optional
	// +k8s:listType=atomic
	// +k8s:unique=set
	// +k8s:maxItems=128
	AllowedAnnotations []string `json:"allowedAnnotations,omitempty"`
	// deniedAnnotations are keys of annotations that stay inside, even where another field
	// allows them.
	// +optional
	// +listType=set
	// +k8s:optional
	// +k8s:listType=atomic
	// +k8s:unique=set
	// +k8s:maxItems=128
	DeniedAnnotations []string `json:"deniedAnnotations,omitempty"`
	// allowedLabels are keys of labels of pods, services, ingresses and volume claims that the
	// syncer also copies to the host unchanged. It copies all labels under keys of its own.
	// Selectors of the host, such as those of its Services and NetworkPolicies, may match the
	// unchanged ones.
	// +optional
	// +listType=set
	// +k8s:optional
	// +k8s:listType=atomic
	// +k8s:unique=set
	// +k8s:maxItems=128
	AllowedLabels []string `json:"allowedLabels,omitempty"`
	// pods are rules for the pods of all virtual clusters. Entry by entry, they override
	// spec.syncer.pods of a virtual cluster and what a pod itself asks for.
	// +optional
	Pods PodRules `json:"pods,omitempty,omitzero"`
	// allowedPodRules are the labels, annotations and priority classes of the host that
	// spec.syncer.pods of a virtual cluster may give to pods. None by default.
	// +optional
	AllowedPodRules AllowedPodRules `json:"allowedPodRules,omitempty,omitzero"`
	// allowedStorage says which PersistentVolumes and StorageClasses of virtual clusters may be
	// on the host. None by default.
	// +optional
	AllowedStorage AllowedStorage `json:"allowedStorage,omitempty,omitzero"`
	// quota is the maximum of spec.isolation.quota of a virtual cluster, and its default.
	// Existing virtual clusters keep their quota until somebody changes it.
	// +optional
	Quota QuotaSpec `json:"quota,omitempty"`
}

// LocalTemplateReference names a VirtualClusterTemplate.
type LocalTemplateReference struct {
	// name of the template.
	// +k8s:required
	// +k8s:format=k8s-long-name
	Name string `json:"name"`
	// version of the template; defaults to the highest one that is not a pre-release.
	// +optional
	Version string `json:"version,omitempty"`
}

// HostClusterStatus is the observed state of a host cluster.
type HostClusterStatus struct {
	// conditions has Ready, which is true while Garret can deploy to the host cluster.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +patchStrategy=merge
	// +patchMergeKey=type
	// +k8s:optional
	// +k8s:listType=map
	// +k8s:listMapKey=type
	// +k8s:eachVal=+k8s:opaqueType
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`
	// observedGeneration is the generation that the controller acted on last.
	// +optional
	// +k8s:optional
	// +k8s:minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// kubernetesVersion is the version that the host cluster's API server reports.
	// +optional
	KubernetesVersion string `json:"kubernetesVersion,omitempty"`
	// virtualClusters is how many virtual clusters the host cluster has.
	// +optional
	// +k8s:optional
	// +k8s:minimum=0
	VirtualClusters int32 `json:"virtualClusters"`
}
