// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import corev1 "k8s.io/api/core/v1"

// ServicesFromHost shows Services inside that lead out of the virtual cluster.
type ServicesFromHost struct {
	// mappings show one Service each. Whoever adds one needs the right to get the Service on
	// the host, or to get virtualclusters/proxy of the other virtual cluster.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=32
	Mappings []ServiceMapping `json:"mappings,omitempty"`
}

// ServicesToHost says whether Services are synced to the host, and which other names they get
// there.
type ServicesToHost struct {
	// enabled says whether the kind is synced. Defaults to true.
	// +optional
	// +k8s:optional
	Enabled *bool `json:"enabled,omitempty"`
	// mappings give Services another name on the host, by which the host's own pods find them.
	// Whoever adds one needs the right to create Services in the namespace.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=32
	Mappings []HostServiceMapping `json:"mappings,omitempty"`
}

// HostServiceMapping gives a Service of the virtual cluster another name on the host.
type HostServiceMapping struct {
	// from is the Service inside. It needs a selector.
	From ServiceName `json:"from"`
	// to is the name of the Service on the host, in the namespace of the virtual cluster. An
	// object that already has the name stays as it is.
	// +k8s:required
	// +k8s:format=k8s-short-name
	To string `json:"to"`
}

// ServiceMapping shows a Service inside under a name of your choice.
type ServiceMapping struct {
	// from is the Service to show.
	From ServiceSource `json:"from"`
	// to names the Service inside. Its namespace has to exist. A tenant's Service that already
	// has the name stays as it is.
	To ServiceName `json:"to"`
}

// ServiceSource names a Service of the host, or one inside another virtual cluster.
type ServiceSource struct {
	// virtualCluster is the one that has the Service. When it is not set, the host has it.
	// +optional
	// +k8s:optional
	VirtualCluster *VirtualClusterName `json:"virtualCluster,omitempty"`
	// namespace of the Service, on the host or inside the other virtual cluster.
	// +k8s:required
	// +k8s:format=k8s-short-name
	Namespace string `json:"namespace"`
	// name of the Service.
	// +k8s:required
	// +k8s:format=k8s-short-name
	Name string `json:"name"`
}

// VirtualClusterName names a virtual cluster of the same host.
type VirtualClusterName struct {
	// namespace of the VirtualCluster. Defaults to the namespace of the object that has this
	// field.
	// +optional
	// +k8s:optional
	// +k8s:format=k8s-short-name
	Namespace string `json:"namespace,omitempty"`
	// name of the VirtualCluster.
	// +k8s:required
	// +k8s:format=k8s-short-name
	Name string `json:"name"`
}

// ServiceName names a Service inside.
type ServiceName struct {
	// namespace of the Service.
	// +k8s:required
	// +k8s:format=k8s-short-name
	Namespace string `json:"namespace"`
	// name of the Service.
	// +k8s:required
	// +k8s:format=k8s-short-name
	Name string `json:"name"`
}

// FoundService is a Service that the spec names as a source, as Garret found it on the host.
type FoundService struct {
	// from is the source.
	From ServiceSource `json:"from"`
	// clusterIPs are its addresses. The list is empty while the syncer cannot show it.
	// +optional
	// +listType=atomic
	ClusterIPs []string `json:"clusterIPs,omitempty"`
	// ports are the ports of the Service.
	// +optional
	// +listType=atomic
	Ports []FoundServicePort `json:"ports,omitempty"`
	// message says why the Service cannot be shown, or cannot be reached.
	// +optional
	Message string `json:"message,omitempty"`
}

// FoundServicePort is a port of a Service.
type FoundServicePort struct {
	// name of the port.
	// +optional
	Name string `json:"name,omitempty"`
	// protocol is TCP, UDP or SCTP.
	// +optional
	// +k8s:opaqueType
	Protocol corev1.Protocol `json:"protocol,omitempty"`
	// port is the number.
	Port int32 `json:"port"`
	// appProtocol is the application protocol of the port.
	// +optional
	AppProtocol *string `json:"appProtocol,omitempty"`
}
