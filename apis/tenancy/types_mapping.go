// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

import corev1 "k8s.io/api/core/v1"

// ServicesFromHost shows Services inside that lead out of the virtual cluster.
type ServicesFromHost struct {
	// mappings show one Service each. Whoever adds one needs the right to get the Service on
	// the host, or to get virtualclusters/proxy of the other virtual cluster.
	Mappings []ServiceMapping
}

// ServicesToHost says whether Services are synced to the host, and which other names they get
// there.
type ServicesToHost struct {
	// enabled says whether the kind is synced. Defaults to true.
	Enabled *bool
	// mappings give Services another name on the host, by which the host's own pods find them.
	// Whoever adds one needs the right to create Services in the namespace.
	Mappings []HostServiceMapping
}

// HostServiceMapping gives a Service of the virtual cluster another name on the host.
type HostServiceMapping struct {
	// from is the Service inside. It needs a selector.
	From ServiceName
	// to is the name of the Service on the host, in the namespace of the virtual cluster. An
	// object that already has the name stays as it is.
	To string
}

// ServiceMapping shows a Service inside under a name of your choice.
type ServiceMapping struct {
	// from is the Service to show.
	From ServiceSource
	// to names the Service inside. Its namespace has to exist. A tenant's Service that already
	// has the name stays as it is.
	To ServiceName
}

// ServiceSource names a Service of the host, or one inside another virtual cluster.
type ServiceSource struct {
	// virtualCluster is the one that has the Service. When it is not set, the host has it.
	VirtualCluster *VirtualClusterName
	// namespace of the Service, on the host or inside the other virtual cluster.
	Namespace string
	// name of the Service.
	Name string
}

// VirtualClusterName names a virtual cluster of the same host.
type VirtualClusterName struct {
	// namespace of the VirtualCluster. Defaults to the namespace of the object that has this
	// field.
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

// FoundService is a Service that the spec names as a source, as Garret found it on the host.
type FoundService struct {
	// from is the source.
	From ServiceSource
	// clusterIPs are its addresses. The list is empty while the syncer cannot show it.
	ClusterIPs []string
	// ports are the ports of the Service.
	Ports []FoundServicePort
	// message says why the Service cannot be shown, or cannot be reached.
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
	// appProtocol is the application protocol of the port.
	AppProtocol *string
}
