// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

import corev1 "k8s.io/api/core/v1"

// ServicesFromHost shows Services inside that lead out of the virtual cluster.
type ServicesFromHost struct {
	// mappings show one Service each. Who adds one needs the right to get the Service on the
	// host, or to get virtualclusters/proxy of the other virtual cluster.
	Mappings []ServiceMapping
}

// ServiceMapping shows a Service inside under a name of choice.
type ServiceMapping struct {
	// from is the Service that is shown.
	From ServiceSource
	// to names the Service inside. Its namespace has to be there. A Service of a tenant's that has the name stays as it is.
	To ServiceName
}

// ServiceSource names a Service of the host, or one inside another virtual cluster.
type ServiceSource struct {
	// virtualCluster is the one that the Service is in. It is the host's when not set.
	VirtualCluster *VirtualClusterName
	// namespace of the Service, on the host or inside the other virtual cluster.
	Namespace string
	// name of the Service.
	Name string
}

// VirtualClusterName names a virtual cluster of the same host.
type VirtualClusterName struct {
	// namespace of the VirtualCluster. It is the one of the object that says so when not set.
	Namespace string
	// name of the VirtualCluster.
	Name string
}

// ServiceName names a Service inside.
type ServiceName struct {
	// namespace of the Service.
	Namespace string
	// name of the Service.
	Name string
}

// FoundService is a Service that the spec names as a source, as it is on the host.
type FoundService struct {
	// from is the source.
	From ServiceSource
	// clusterIPs are its addresses. There are none while it cannot be shown.
	ClusterIPs []string
	// ports are those of the Service.
	Ports []FoundServicePort
	// message says why it cannot be shown, or not be reached.
	Message string
}

// FoundServicePort is a port of a Service.
type FoundServicePort struct {
	// name of the port.
	Name string
	// protocol is TCP, UDP or SCTP.
	Protocol corev1.Protocol
	// port is the number.
	Port int32
	// appProtocol is what is spoken there.
	AppProtocol *string
}
