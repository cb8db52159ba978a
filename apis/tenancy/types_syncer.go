// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SyncerSpec configures the syncer.
type SyncerSpec struct {
	// toHost chooses among the kinds that go from the virtual cluster to the host.
	ToHost ToHostSpec
	// fromHost chooses among the kinds of the host that are shown inside.
	FromHost FromHostSpec
	// pods are rules for all pods on the host. Those of the HostCluster come first.
	Pods PodRules
	// extraArgs are further flags of the syncer, each in the form --name=value.
	ExtraArgs []string
}

// ToHostSpec chooses among the kinds that go to the host.
type ToHostSpec struct {
	// backendTLSPolicies of the Gateway API say how gateways speak TLS to Services inside. The host's administrator opens the kind. Off by default.
	BackendTLSPolicies KindSwitch
	// configMaps are those that pods refer to, or all. On by default.
	ConfigMaps ReferencedKind
	// custom are rules for kinds of CustomResourceDefinitions of the host. Who writes one needs the rights that it lends. None by default.
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
	// networkPolicies narrow on the host what pods reach, and who reaches them. Who switches them on needs the right to create NetworkPolicies there. Off by default.
	NetworkPolicies KindSwitch
	// persistentVolumeClaims get volumes of the host. On by default.
	PersistentVolumeClaims KindSwitch
	// podDisruptionBudgets hold when nodes of the host are drained. Off by default.
	PodDisruptionBudgets KindSwitch
	// pods run on the host's nodes. On by default.
	Pods KindSwitch
	// secrets are those that pods and ingresses refer to, or all. On by default.
	Secrets ReferencedKind
	// serviceAccounts let policies and workload identities of the host tell pods apart. Tokens and rights stay inside. Who switches them on needs the right to create ServiceAccounts there. Off by default.
	ServiceAccounts KindSwitch
	// services have the addresses that the host allots. On by default.
	Services ServicesToHost
	// tcpRoutes of the Gateway API lead to Services inside. The host's administrator opens the kind. Off by default.
	TCPRoutes KindSwitch
	// tlsRoutes of the Gateway API lead to Services inside. The host's administrator opens the kind. Off by default.
	TLSRoutes KindSwitch
	// udpRoutes of the Gateway API lead to Services inside. The host's administrator opens the kind. Off by default.
	UDPRoutes KindSwitch
}

// FromHostSpec chooses among the kinds of the host that are shown inside.
type FromHostSpec struct {
	// configMaps of the host are shown inside by name. None by default.
	ConfigMaps ObjectsFromHost
	// custom are kinds of CustomResourceDefinitions of the host, of which objects are shown inside by name. None by default.
	Custom []KindFromHost
	// events about what was synced are copied to the objects inside. On by default.
	Events KindSwitch
	// gatewayClasses of the host can be named by Gateways inside. Off by default: the host has to know the kind.
	GatewayClasses ClassSelection
	// ingressClasses of the host can be named by ingresses inside. On by default, where the host lends the right to read classes.
	IngressClasses ClassSelection
	// nodes are those of the host that are shown as they are. Needs the right to read them, which an administrator of the host gives. Off by default.
	Nodes NodesFromHost
	// priorityClasses of the host, except for those that Kubernetes itself defines, can be named by pods inside. Off by default.
	PriorityClasses ClassSelection
	// runtimeClasses of the host can be named by pods inside. On by default, where the host lends the right to read classes.
	RuntimeClasses ClassSelection
	// secrets of the host are shown inside by name. None by default.
	Secrets ObjectsFromHost
	// storageClasses of the host can be named by claims inside. On by default, where the host lends the right to read classes.
	StorageClasses ClassSelection
	// services of the host and of other virtual clusters are shown inside by name. None by default.
	Services ServicesFromHost
}

// KindSwitch switches a kind on or off.
type KindSwitch struct {
	// enabled says whether the kind is synced. The kind decides when not set.
	Enabled *bool
}

// ClassSelection chooses among the classes of a kind.
type ClassSelection struct {
	// enabled says whether the classes are shown. The kind decides when not set.
	Enabled *bool
	// selector matches the labels that the classes have on the host. All match when not set.
	Selector *metav1.LabelSelector
}
