// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

// ReferencedKind switches a kind whose objects are synced when others refer to them.
type ReferencedKind struct {
	// enabled says whether the kind is synced. Each kind has its own default.
	Enabled *bool
	// all also syncs objects that nothing refers to. Off by default.
	All *bool
}

// ObjectsFromHost shows objects of the host inside, each by its name.
type ObjectsFromHost struct {
	// mappings show one object each. Whoever adds one needs the right to get the object on the
	// host.
	Mappings []ObjectMapping
}

// ObjectMapping shows an object of the host inside, under a name of your choice.
type ObjectMapping struct {
	// from is the object on the host, in the namespace of the VirtualCluster.
	From HostObjectName
	// to names the object inside. The syncer creates it once its namespace exists. A tenant's
	// object that already has the name stays as it is.
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
