// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

// ReferencedKind switches a kind whose objects are synced when others refer to them.
type ReferencedKind struct {
	// enabled says whether the kind is synced. Each kind has its own default.
	// +optional
	// +k8s:optional
	Enabled *bool `json:"enabled,omitempty"`
	// all also syncs objects that nothing refers to. Off by default.
	// +optional
	// +k8s:optional
	All *bool `json:"all,omitempty"`
}

// ObjectsFromHost shows objects of the host inside, each by its name.
type ObjectsFromHost struct {
	// mappings show one object each. Whoever adds one needs the right to get the object on the
	// host.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=32
	Mappings []ObjectMapping `json:"mappings,omitempty"`
}

// ObjectMapping shows an object of the host inside, under a name of your choice.
type ObjectMapping struct {
	// from is the object on the host, in the namespace of the VirtualCluster.
	From HostObjectName `json:"from"`
	// to names the object inside. The syncer creates it once its namespace exists. A tenant's
	// object that already has the name stays as it is.
	To InsideObjectName `json:"to"`
}

// HostObjectName names an object in the namespace of the VirtualCluster.
type HostObjectName struct {
	// name of the object.
	// +k8s:required
	// +k8s:format=k8s-long-name
	Name string `json:"name"`
}

// InsideObjectName names an object inside.
type InsideObjectName struct {
	// namespace of the object.
	// +k8s:required
	// +k8s:format=k8s-short-name
	Namespace string `json:"namespace"`
	// name of the object.
	// +k8s:required
	// +k8s:format=k8s-long-name
	Name string `json:"name"`
}
