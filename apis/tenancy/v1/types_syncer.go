// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SyncerSpec configures the syncer.
type SyncerSpec struct {
	// toHost selects the kinds that the syncer copies from the virtual cluster to the host.
	// +optional
	ToHost ToHostSpec `json:"toHost,omitempty,omitzero"`
	// fromHost selects the kinds of the host that the syncer shows inside.
	// +optional
	FromHost FromHostSpec `json:"fromHost,omitempty,omitzero"`
	// pods are rules for all pods on the host. The rules of the HostCluster take precedence.
	// +optional
	Pods PodRules `json:"pods,omitempty,omitzero"`
	// extraArgs are further flags of the syncer, each in the form --name=value.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=100
	// +k8s:eachVal=+k8s:maxLength=4096
	ExtraArgs []string `json:"extraArgs,omitempty"`
}

// ToHostSpec selects the kinds that the syncer copies to the host.
type ToHostSpec struct {
	// backendTLSPolicies of the Gateway API say how gateways speak TLS to Services inside. The host's administrator opens the kind. Off by default.
	// +optional
	BackendTLSPolicies KindSwitch `json:"backendTLSPolicies,omitempty,omitzero"`
	// configMaps are those that pods refer to, or all. On by default.
	// +optional
	ConfigMaps ReferencedKind `json:"configMaps,omitempty,omitzero"`
	// custom are rules for kinds of the host's CustomResourceDefinitions. Whoever writes one
	// needs the rights that it lends. None by default.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=50
	Custom []KindRule `json:"custom,omitempty"`
	// endpointSlices are those of Services without a selector. On by default.
	// +optional
	EndpointSlices KindSwitch `json:"endpointSlices,omitempty,omitzero"`
	// gateways of the Gateway API are served by the host's controllers. The host's administrator opens the kind. Off by default.
	// +optional
	Gateways KindSwitch `json:"gateways,omitempty,omitzero"`
	// grpcRoutes of the Gateway API lead to Services inside. The host's administrator opens the kind. Off by default.
	// +optional
	GRPCRoutes KindSwitch `json:"grpcRoutes,omitempty,omitzero"`
	// httpRoutes of the Gateway API lead to Services inside. The host's administrator opens the kind. Off by default.
	// +optional
	HTTPRoutes KindSwitch `json:"httpRoutes,omitempty,omitzero"`
	// ingresses are served by the host's ingress controllers. On by default.
	// +optional
	Ingresses KindSwitch `json:"ingresses,omitempty,omitzero"`
	// networkPolicies restrict on the host what pods reach, and who reaches them. Whoever
	// switches them on needs the right to create NetworkPolicies there. Off by default.
	// +optional
	NetworkPolicies KindSwitch `json:"networkPolicies,omitempty,omitzero"`
	// persistentVolumeClaims get volumes of the host. On by default.
	// +optional
	PersistentVolumeClaims KindSwitch `json:"persistentVolumeClaims,omitempty,omitzero"`
	// persistentVolumes of the tenant are volumes of the host that spec.isolation.allowedStorage
	// of the HostCluster allows. Off by default.
	// +optional
	PersistentVolumes KindSwitch `json:"persistentVolumes,omitempty,omitzero"`
	// podDisruptionBudgets also apply when nodes of the host are drained. Off by default.
	// +optional
	PodDisruptionBudgets KindSwitch `json:"podDisruptionBudgets,omitempty,omitzero"`
	// pods run on the host's nodes. On by default.
	// +optional
	Pods KindSwitch `json:"pods,omitempty,omitzero"`
	// resourceClaims get devices of the host for the pods that refer to them. They name device classes that fromHost.deviceClasses shows. Who switches them on needs the right to create ResourceClaims there. Off by default.
	// +optional
	ResourceClaims KindSwitch `json:"resourceClaims,omitempty,omitzero"`
	// secrets are those that pods and ingresses refer to, or all. On by default.
	// +optional
	Secrets ReferencedKind `json:"secrets,omitempty,omitzero"`
	// serviceAccounts let policies and workload identities of the host tell pods apart. Tokens
	// and rights stay inside. Whoever switches them on needs the right to create
	// ServiceAccounts there. Off by default.
	// +optional
	ServiceAccounts KindSwitch `json:"serviceAccounts,omitempty,omitzero"`
	// services have addresses that the host allocates. On by default.
	// +optional
	Services ServicesToHost `json:"services,omitempty,omitzero"`
	// storageClasses of the tenant have the host provision volumes as spec.isolation.allowedStorage
	// of the HostCluster allows. Off by default.
	// +optional
	StorageClasses KindSwitch `json:"storageClasses,omitempty,omitzero"`
	// tcpRoutes of the Gateway API lead to Services inside. The host's administrator opens the kind. Off by default.
	// +optional
	TCPRoutes KindSwitch `json:"tcpRoutes,omitempty,omitzero"`
	// tlsRoutes of the Gateway API lead to Services inside. The host's administrator opens the kind. Off by default.
	// +optional
	TLSRoutes KindSwitch `json:"tlsRoutes,omitempty,omitzero"`
	// udpRoutes of the Gateway API lead to Services inside. The host's administrator opens the kind. Off by default.
	// +optional
	UDPRoutes KindSwitch `json:"udpRoutes,omitempty,omitzero"`
	// volumeSnapshotContents of the tenant are snapshots of the host that spec.isolation.allowedStorage of the HostCluster allows. They need volumeSnapshots. Off by default.
	// +optional
	VolumeSnapshotContents KindSwitch `json:"volumeSnapshotContents,omitempty,omitzero"`
	// volumeSnapshots of claims inside are taken on the host, and keep their data there. The host's administrator opens the kind. Off by default.
	// +optional
	VolumeSnapshots KindSwitch `json:"volumeSnapshots,omitempty,omitzero"`
}

// FromHostSpec selects the kinds of the host that the syncer shows inside.
type FromHostSpec struct {
	// configMaps of the host are shown inside by name. None by default.
	// +optional
	ConfigMaps ObjectsFromHost `json:"configMaps,omitempty,omitzero"`
	// csiDrivers of the host say how volumes of each storage driver behave. Off by default.
	// +optional
	CSIDrivers ClassSelection `json:"csiDrivers,omitempty,omitzero"`
	// csiNodes say which of the shown drivers run on the shown nodes of the host, for how many volumes. They need nodes and csiDrivers. Off by default.
	// +optional
	CSINodes ClassSelection `json:"csiNodes,omitempty,omitzero"`
	// csiStorageCapacities say how much room the shown storage classes have for the shown nodes of the host. They need nodes. Off by default.
	// +optional
	CSIStorageCapacities ClassSelection `json:"csiStorageCapacities,omitempty,omitzero"`
	// custom are kinds of the host's CustomResourceDefinitions, whose objects are shown inside
	// by name. None by default.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=50
	Custom []KindFromHost `json:"custom,omitempty"`
	// deviceClasses of the host can be named by claims of devices inside, and no others. Off by default.
	// +optional
	DeviceClasses ClassSelection `json:"deviceClasses,omitempty,omitzero"`
	// events of the host about synced objects are copied inside. On by default.
	// +optional
	Events KindSwitch `json:"events,omitempty,omitzero"`
	// gatewayClasses of the host can be named by Gateways inside. Off by default: the host has to know the kind.
	// +optional
	GatewayClasses ClassSelection `json:"gatewayClasses,omitempty,omitzero"`
	// ingressClasses are the host's classes that ingresses inside can name. On by default,
	// where the host lends the right to read classes.
	// +optional
	IngressClasses ClassSelection `json:"ingressClasses,omitempty,omitzero"`
	// nodes are the host's nodes that are shown as they are. The syncer needs the right to read
	// them, which an administrator of the host grants. Off by default.
	// +optional
	Nodes NodesFromHost `json:"nodes,omitempty,omitzero"`
	// priorityClasses are the host's classes that pods inside can name, except for those that
	// Kubernetes itself defines. Off by default.
	// +optional
	PriorityClasses ClassSelection `json:"priorityClasses,omitempty,omitzero"`
	// runtimeClasses are the host's classes that pods inside can name. On by default, where the
	// host lends the right to read classes.
	// +optional
	RuntimeClasses ClassSelection `json:"runtimeClasses,omitempty,omitzero"`
	// secrets of the host are shown inside by name. None by default.
	// +optional
	Secrets ObjectsFromHost `json:"secrets,omitempty,omitzero"`
	// storageClasses are the host's classes that claims inside can name. On by default, where
	// the host lends the right to read classes.
	// +optional
	StorageClasses ClassSelection `json:"storageClasses,omitempty,omitzero"`
	// services of the host and of other virtual clusters are shown inside by name. None by default.
	// +optional
	Services ServicesFromHost `json:"services,omitempty,omitzero"`
	// volumeAttributesClasses are the host's classes that claims inside can name, and no others. On by default, where the host serves the kind and lends the right to read classes.
	// +optional
	VolumeAttributesClasses ClassSelection `json:"volumeAttributesClasses,omitempty,omitzero"`
	// volumeSnapshotClasses of the host can be named by volume snapshots inside. On where volumeSnapshots go to the host.
	// +optional
	VolumeSnapshotClasses ClassSelection `json:"volumeSnapshotClasses,omitempty,omitzero"`
	// volumeSnapshotContents of the host say inside what became of the tenant's volume snapshots, and of no others. On where volumeSnapshots go to the host, and it lends the right to get contents.
	// +optional
	VolumeSnapshotContents KindSwitch `json:"volumeSnapshotContents,omitempty,omitzero"`
}

// KindSwitch switches a kind on or off.
type KindSwitch struct {
	// enabled says whether the kind is synced. Each kind has its own default.
	// +optional
	// +k8s:optional
	Enabled *bool `json:"enabled,omitempty"`
}

// ClassSelection selects classes of a kind.
type ClassSelection struct {
	// enabled says whether the classes are shown. Each kind has its own default.
	// +optional
	// +k8s:optional
	Enabled *bool `json:"enabled,omitempty"`
	// selector matches the labels that the classes have on the host. All match when not set.
	// +optional
	// +k8s:optional
	// +k8s:opaqueType
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}
