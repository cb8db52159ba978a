// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SyncerSpec configures the syncer.
type SyncerSpec struct {
	// toHost selects the kinds that the syncer copies from the virtual cluster to the host.
	ToHost ToHostSpec
	// fromHost selects the kinds of the host that the syncer shows inside.
	FromHost FromHostSpec
	// pods are rules for all pods on the host. The rules of the HostCluster take precedence.
	Pods PodRules
	// extraArgs are further flags of the syncer, each in the form --name=value.
	ExtraArgs []string
}

// ToHostSpec selects the kinds that the syncer copies to the host.
type ToHostSpec struct {
	// backendTLSPolicies of the Gateway API say how gateways speak TLS to Services inside. The host's administrator opens the kind. Off by default.
	BackendTLSPolicies KindSwitch
	// configMaps are those that pods refer to, or all. On by default.
	ConfigMaps ReferencedKind
	// custom are rules for kinds of the host's CustomResourceDefinitions. Whoever writes one
	// needs the rights that it lends. None by default.
	Custom []KindRule
	// endpointSlices are those of Services without a selector. On by default.
	EndpointSlices KindSwitch
	// gateways of the Gateway API are served by the host's controllers. The host's administrator opens the kind. Off by default.
	Gateways KindSwitch
	// grpcRoutes of the Gateway API lead to Services inside. The host's administrator opens the kind. Off by default.
	GRPCRoutes KindSwitch
	// httpRoutes of the Gateway API lead to Services inside. The host's administrator opens the kind. Off by default.
	HTTPRoutes KindSwitch
	// ingresses are served by the host's ingress controllers. On by default.
	Ingresses KindSwitch
	// networkPolicies restrict on the host what pods reach, and who reaches them. Whoever
	// switches them on needs the right to create NetworkPolicies there. Off by default.
	NetworkPolicies KindSwitch
	// persistentVolumeClaims get volumes of the host. On by default.
	PersistentVolumeClaims KindSwitch
	// persistentVolumes of the tenant are volumes of the host that spec.isolation.allowedStorage
	// of the HostCluster allows. Off by default.
	PersistentVolumes KindSwitch
	// podDisruptionBudgets also apply when nodes of the host are drained. Off by default.
	PodDisruptionBudgets KindSwitch
	// pods run on the host's nodes. On by default.
	Pods KindSwitch
	// resourceClaims get devices of the host for the pods that refer to them. They name device classes that fromHost.deviceClasses shows. Who switches them on needs the right to create ResourceClaims there. Off by default.
	ResourceClaims KindSwitch
	// secrets are those that pods and ingresses refer to, or all. On by default.
	Secrets ReferencedKind
	// serviceAccounts let policies and workload identities of the host tell pods apart. Tokens
	// and rights stay inside. Whoever switches them on needs the right to create
	// ServiceAccounts there. Off by default.
	ServiceAccounts KindSwitch
	// services have addresses that the host allocates. On by default.
	Services ServicesToHost
	// storageClasses of the tenant have the host provision volumes as spec.isolation.allowedStorage
	// of the HostCluster allows. Off by default.
	StorageClasses KindSwitch
	// tcpRoutes of the Gateway API lead to Services inside. The host's administrator opens the kind. Off by default.
	TCPRoutes KindSwitch
	// tlsRoutes of the Gateway API lead to Services inside. The host's administrator opens the kind. Off by default.
	TLSRoutes KindSwitch
	// udpRoutes of the Gateway API lead to Services inside. The host's administrator opens the kind. Off by default.
	UDPRoutes KindSwitch
	// volumeSnapshotContents of the tenant are snapshots of the host that spec.isolation.allowedStorage of the HostCluster allows. They need volumeSnapshots. Off by default.
	VolumeSnapshotContents KindSwitch
	// volumeSnapshots of claims inside are taken on the host, and keep their data there. The host's administrator opens the kind. Off by default.
	VolumeSnapshots KindSwitch
}

// FromHostSpec selects the kinds of the host that the syncer shows inside.
type FromHostSpec struct {
	// configMaps of the host are shown inside by name. None by default.
	ConfigMaps ObjectsFromHost
	// csiDrivers of the host say how volumes of each storage driver behave. Off by default.
	CSIDrivers ClassSelection
	// csiNodes say which of the shown drivers run on the shown nodes of the host, for how many volumes. They need nodes and csiDrivers. Off by default.
	CSINodes ClassSelection
	// csiStorageCapacities say how much room the shown storage classes have for the shown nodes of the host. They need nodes. Off by default.
	CSIStorageCapacities ClassSelection
	// custom are kinds of the host's CustomResourceDefinitions, whose objects are shown inside
	// by name. None by default.
	Custom []KindFromHost
	// deviceClasses of the host can be named by claims of devices inside, and no others. Off by default.
	DeviceClasses ClassSelection
	// events of the host about synced objects are copied inside. On by default.
	Events KindSwitch
	// gatewayClasses of the host can be named by Gateways inside. Off by default: the host has to know the kind.
	GatewayClasses ClassSelection
	// ingressClasses are the host's classes that ingresses inside can name. On by default,
	// where the host lends the right to read classes.
	IngressClasses ClassSelection
	// nodes are the host's nodes that are shown as they are. The syncer needs the right to read
	// them, which an administrator of the host grants. Off by default.
	Nodes NodesFromHost
	// priorityClasses are the host's classes that pods inside can name, except for those that
	// Kubernetes itself defines. Off by default.
	PriorityClasses ClassSelection
	// runtimeClasses are the host's classes that pods inside can name. On by default, where the
	// host lends the right to read classes.
	RuntimeClasses ClassSelection
	// secrets of the host are shown inside by name. None by default.
	Secrets ObjectsFromHost
	// storageClasses are the host's classes that claims inside can name. On by default, where
	// the host lends the right to read classes.
	StorageClasses ClassSelection
	// services of the host and of other virtual clusters are shown inside by name. None by default.
	Services ServicesFromHost
	// volumeAttributesClasses are the host's classes that claims inside can name, and no others. On by default, where the host serves the kind and lends the right to read classes.
	VolumeAttributesClasses ClassSelection
	// volumeSnapshotClasses of the host can be named by volume snapshots inside. On where volumeSnapshots go to the host.
	VolumeSnapshotClasses ClassSelection
	// volumeSnapshotContents of the host say inside what became of the tenant's volume snapshots, and of no others. On where volumeSnapshots go to the host, and it lends the right to get contents.
	VolumeSnapshotContents KindSwitch
}

// KindSwitch switches a kind on or off.
type KindSwitch struct {
	// enabled says whether the kind is synced. Each kind has its own default.
	Enabled *bool
}

// ClassSelection selects classes of a kind.
type ClassSelection struct {
	// enabled says whether the classes are shown. Each kind has its own default.
	Enabled *bool
	// selector matches the labels that the classes have on the host. All match when not set.
	Selector *metav1.LabelSelector
}
