// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SyncerSpec configures the syncer.
type SyncerSpec struct {
	// toHost chooses among the kinds that go from the virtual cluster to the host.
	// +optional
	ToHost ToHostSpec `json:"toHost,omitempty,omitzero"`
	// fromHost chooses among the kinds of the host that are shown inside.
	// +optional
	FromHost FromHostSpec `json:"fromHost,omitempty,omitzero"`
	// pods are rules for all pods on the host. Those of the HostCluster come first.
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

// ToHostSpec chooses among the kinds that go to the host.
type ToHostSpec struct {
	// backendTLSPolicies of the Gateway API say how gateways speak TLS to Services inside. The host's administrator opens the kind. Off by default.
	// +optional
	BackendTLSPolicies KindSwitch `json:"backendTLSPolicies,omitempty,omitzero"`
	// configMaps are those that pods refer to, or all. On by default.
	// +optional
	ConfigMaps ReferencedKind `json:"configMaps,omitempty,omitzero"`
	// custom are rules for kinds of CustomResourceDefinitions of the host. Who writes one needs the rights that it lends. None by default.
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
	// networkPolicies narrow on the host what pods reach, and who reaches them. Who switches them on needs the right to create NetworkPolicies there. Off by default.
	// +optional
	NetworkPolicies KindSwitch `json:"networkPolicies,omitempty,omitzero"`
	// persistentVolumeClaims get volumes of the host. On by default.
	// +optional
	PersistentVolumeClaims KindSwitch `json:"persistentVolumeClaims,omitempty,omitzero"`
	// podDisruptionBudgets hold when nodes of the host are drained. Off by default.
	// +optional
	PodDisruptionBudgets KindSwitch `json:"podDisruptionBudgets,omitempty,omitzero"`
	// pods run on the host's nodes. On by default.
	// +optional
	Pods KindSwitch `json:"pods,omitempty,omitzero"`
	// secrets are those that pods and ingresses refer to, or all. On by default.
	// +optional
	Secrets ReferencedKind `json:"secrets,omitempty,omitzero"`
	// serviceAccounts let policies and workload identities of the host tell pods apart. Tokens and rights stay inside. Who switches them on needs the right to create ServiceAccounts there. Off by default.
	// +optional
	ServiceAccounts KindSwitch `json:"serviceAccounts,omitempty,omitzero"`
	// services have the addresses that the host allots. On by default.
	// +optional
	Services ServicesToHost `json:"services,omitempty,omitzero"`
	// tcpRoutes of the Gateway API lead to Services inside. The host's administrator opens the kind. Off by default.
	// +optional
	TCPRoutes KindSwitch `json:"tcpRoutes,omitempty,omitzero"`
	// tlsRoutes of the Gateway API lead to Services inside. The host's administrator opens the kind. Off by default.
	// +optional
	TLSRoutes KindSwitch `json:"tlsRoutes,omitempty,omitzero"`
	// udpRoutes of the Gateway API lead to Services inside. The host's administrator opens the kind. Off by default.
	// +optional
	UDPRoutes KindSwitch `json:"udpRoutes,omitempty,omitzero"`
}

// FromHostSpec chooses among the kinds of the host that are shown inside.
type FromHostSpec struct {
	// configMaps of the host are shown inside by name. None by default.
	// +optional
	ConfigMaps ObjectsFromHost `json:"configMaps,omitempty,omitzero"`
	// custom are kinds of CustomResourceDefinitions of the host, of which objects are shown inside by name. None by default.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=50
	Custom []KindFromHost `json:"custom,omitempty"`
	// events about what was synced are copied to the objects inside. On by default.
	// +optional
	Events KindSwitch `json:"events,omitempty,omitzero"`
	// gatewayClasses of the host can be named by Gateways inside. Off by default: the host has to know the kind.
	// +optional
	GatewayClasses ClassSelection `json:"gatewayClasses,omitempty,omitzero"`
	// ingressClasses of the host can be named by ingresses inside. On by default, where the host lends the right to read classes.
	// +optional
	IngressClasses ClassSelection `json:"ingressClasses,omitempty,omitzero"`
	// nodes are those of the host that are shown as they are. Needs the right to read them, which an administrator of the host gives. Off by default.
	// +optional
	Nodes NodesFromHost `json:"nodes,omitempty,omitzero"`
	// priorityClasses of the host, except for those that Kubernetes itself defines, can be named by pods inside. Off by default.
	// +optional
	PriorityClasses ClassSelection `json:"priorityClasses,omitempty,omitzero"`
	// runtimeClasses of the host can be named by pods inside. On by default, where the host lends the right to read classes.
	// +optional
	RuntimeClasses ClassSelection `json:"runtimeClasses,omitempty,omitzero"`
	// secrets of the host are shown inside by name. None by default.
	// +optional
	Secrets ObjectsFromHost `json:"secrets,omitempty,omitzero"`
	// storageClasses of the host can be named by claims inside. On by default, where the host lends the right to read classes.
	// +optional
	StorageClasses ClassSelection `json:"storageClasses,omitempty,omitzero"`
	// services of the host and of other virtual clusters are shown inside by name. None by default.
	// +optional
	Services ServicesFromHost `json:"services,omitempty,omitzero"`
}

// KindSwitch switches a kind on or off.
type KindSwitch struct {
	// enabled says whether the kind is synced. The kind decides when not set.
	// +optional
	// +k8s:optional
	Enabled *bool `json:"enabled,omitempty"`
}

// ClassSelection chooses among the classes of a kind.
type ClassSelection struct {
	// enabled says whether the classes are shown. The kind decides when not set.
	// +optional
	// +k8s:optional
	Enabled *bool `json:"enabled,omitempty"`
	// selector matches the labels that the classes have on the host. All match when not set.
	// +optional
	// +k8s:optional
	// +k8s:opaqueType
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}
