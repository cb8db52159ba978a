// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import corev1 "k8s.io/api/core/v1"

// ServicesFromHost shows Services inside that lead out of the virtual cluster.
type ServicesFromHost struct {
	// mappings show one Service each. Who adds one needs the right to get the Service on the
	// host, or to get virtualclusters/proxy of the other virtual cluster.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=32
	Mappings []ServiceMapping `json:"mappings,omitempty"`
}

// ServiceMapping shows a Service inside under a name of choice.
type ServiceMapping struct {
	// from is the Service that is shown.
	From ServiceSource `json:"from"`
	// to names the Service inside. Its namespace has to be there. A Service of a tenant's that has the name stays as it is.
	To ServiceName `json:"to"`
}

// ServiceSource names a Service of the host, or one inside another virtual cluster.
type ServiceSource struct {
	// virtualCluster is the one that the Service is in. It is the host's when not set.
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
	// namespace of the VirtualCluster. It is the one of the object that says so when not set.
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

// FoundService is a Service that the spec names as a source, as it is on the host.
type FoundService struct {
	// from is the source.
	From ServiceSource `json:"from"`
	// clusterIPs are its addresses. There are none while it cannot be shown.
	// +optional
	// +listType=atomic
	ClusterIPs []string `json:"clusterIPs,omitempty"`
	// ports are those of the Service.
	// +optional
	// +listType=atomic
	Ports []FoundServicePort `json:"ports,omitempty"`
	// message says why it cannot be shown, or not be reached.
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
	// appProtocol is what is spoken there.
	// +optional
	AppProtocol *string `json:"appProtocol,omitempty"`
}
