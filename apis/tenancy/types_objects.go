// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

// ReferencedKind switches a kind of which those objects are synced that others refer to.
type ReferencedKind struct {
	// enabled says whether the kind is synced. The kind decides when not set.
	Enabled *bool
	// all says that objects go to the host that nothing refers to, too. Off by default.
	All *bool
}

// ObjectsFromHost shows objects of the host inside, each by its name.
type ObjectsFromHost struct {
	// mappings show one object each. Who adds one needs the right to get the object on the host.
	Mappings []ObjectMapping
}

// ObjectMapping shows an object of the host inside, under a name of choice.
type ObjectMapping struct {
	// from is the object on the host, in the namespace of the VirtualCluster.
	From HostObjectName
	// to names the object inside. It comes when its namespace is there. An object of a tenant's that has the name stays as it is.
	To InsideObjectName
}

// HostObjectName names an object in the namespace of the VirtualCluster.
type HostObjectName struct {
	// name of the object.
	Name string
}

// InsideObjectName names an object inside.
type InsideObjectName struct {
	// namespace of the object.
	Namespace string
	// name of the object.
	Name string
}
