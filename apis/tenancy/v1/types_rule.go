// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

// KindRule says how the syncer copies objects of one kind to the host. The kind belongs to a
// CustomResourceDefinition of the host, and is namespaced.
type KindRule struct {
	// apiVersion is the group and the version of the kind on the host, such as example.org/v1.
	// +required
	// +k8s:required
	// +k8s:maxLength=320
	APIVersion string `json:"apiVersion"`
	// resource is the kind's name in the plural, such as widgets.
	// +required
	// +k8s:required
	// +k8s:maxLength=63
	Resource string `json:"resource"`
	// fields are copied to the host. All other fields stay inside.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=200
	Fields []FieldRule `json:"fields,omitempty"`
	// status lists the paths that are copied back, such as status.conditions.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=100
	// +k8s:eachVal=+k8s:maxLength=512
	Status []string `json:"status,omitempty"`
	// keepsData says that objects on the host hold data, such as a database. The syncer then
	// deletes one only when its object inside is deleted, or with the virtual cluster unless
	// that retains its data. Off by default.
	// +optional
	// +k8s:optional
	KeepsData bool `json:"keepsData,omitempty"`
}

// FieldUse says what happens to a field on its way to the host.
type FieldUse string

const (
	// FieldCopied is for a field that has the same value on the host.
	FieldCopied FieldUse = "Copy"
	// FieldName is for the name of another object of the same namespace.
	FieldName FieldUse = "Name"
	// FieldReference is for an object with the fields name, namespace, group and kind, which names
	// another object of the same namespace, or one of the host that is shown inside.
	FieldReference FieldUse = "Reference"
	// FieldNamespace is for the namespace of a named object. It has to be the object's own,
	// and is left out on the host.
	FieldNamespace FieldUse = "Namespace"
	// FieldLabels is for a map of labels that selects objects of the same namespace.
	FieldLabels FieldUse = "Labels"
	// FieldSelector is for a label selector that selects objects of the same namespace.
	FieldSelector FieldUse = "LabelSelector"
	// FieldOmitted is for a part of a copied field that stays inside.
	FieldOmitted FieldUse = "Omit"
	// FieldRefused is for a field that keeps its object from the host.
	FieldRefused FieldUse = "Refuse"
)

// FieldRule says what happens to one field. Where two rules match a field, the longer path
// decides.
type FieldRule struct {
	// path leads to the field, such as spec.items[].secretName: [] stands for each item of a list.
	// +required
	// +k8s:required
	// +k8s:maxLength=512
	Path string `json:"path"`
	// as says what happens to the field: Copy, Name, Reference, Namespace, Labels,
	// LabelSelector, Omit or Refuse. Defaults to Copy.
	// +optional
	// +k8s:optional
	As FieldUse `json:"as,omitempty"`
	// of is the kind of the object that a Name or a Reference names: secrets, configmaps,
	// services, persistentvolumeclaims, pods, or RESOURCE.GROUP of a kind that a rule syncs.
	// The syncer copies the named secrets and configmaps to the host, too.
	// +optional
	// +k8s:optional
	// +k8s:maxLength=320
	Of string `json:"of,omitempty"`
	// oneOf are the values that the field may have. The syncer refuses an object with another
	// value. All values are allowed when it is not set.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=100
	// +k8s:eachVal=+k8s:maxLength=256
	OneOf []string `json:"oneOf,omitempty"`
}

// KindFromHost shows objects of a kind of the host inside, by their names. The kind belongs to
// a CustomResourceDefinition of the host, and is namespaced.
type KindFromHost struct {
	// apiVersion is the group and the version of the kind on the host, such as example.org/v1.
	// +required
	// +k8s:required
	// +k8s:maxLength=320
	APIVersion string `json:"apiVersion"`
	// resource is the kind's name in the plural, such as widgets.
	// +required
	// +k8s:required
	// +k8s:maxLength=63
	Resource string `json:"resource"`
	// mappings show one object each, or all objects of a namespace of the host. Whoever adds
	// one needs the rights to get, list and watch on the host what it shows.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=32
	Mappings []CustomMapping `json:"mappings,omitempty"`
}

// CustomMapping shows objects of the host inside.
type CustomMapping struct {
	// from names the objects to show.
	From CustomSource `json:"from"`
	// to says where they are shown inside. The syncer creates them once the namespace exists. A
	// tenant's object that already has the name stays as it is.
	To CustomTarget `json:"to"`
}

// CustomSource names an object of the host, or all objects of a namespace.
type CustomSource struct {
	// namespace on the host. Defaults to the namespace of the VirtualCluster.
	// +optional
	// +k8s:optional
	// +k8s:format=k8s-short-name
	Namespace string `json:"namespace,omitempty"`
	// name of the object, or * for all objects of the namespace.
	// +required
	// +k8s:required
	// +k8s:maxLength=253
	Name string `json:"name"`
}

// CustomTarget names an object inside, or a namespace.
type CustomTarget struct {
	// namespace inside.
	// +k8s:required
	// +k8s:format=k8s-short-name
	Namespace string `json:"namespace"`
	// name of the object. Defaults to its name on the host. Leave it empty where from names all
	// objects of a namespace.
	// +optional
	// +k8s:optional
	// +k8s:format=k8s-long-name
	Name string `json:"name,omitempty"`
}
