// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

// KindRule says how objects of one kind go to the host. The kind is of a
// CustomResourceDefinition of the host, and its objects belong to namespaces.
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
	// fields are what goes to the host. All else stays inside.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=200
	Fields []FieldRule `json:"fields,omitempty"`
	// status are the paths of what flows back, such as status.conditions.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=100
	// +k8s:eachVal=+k8s:maxLength=512
	Status []string `json:"status,omitempty"`
	// keepsData says that what is lost with an object on the host cannot be made again, such as a database. It then goes
	// from there only when the object inside is deleted, or with the virtual cluster where that retains nothing. Off by default.
	// +optional
	// +k8s:optional
	KeepsData bool `json:"keepsData,omitempty"`
}

// FieldUse says what becomes of a field on its way to the host.
type FieldUse string

const (
	// FieldCopied is for a field that is on the host what it is inside.
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
	// FieldRefused is for a field without which alone an object goes to the host.
	FieldRefused FieldUse = "Refuse"
)

// FieldRule says what becomes of one field. Where two rules are about a field, the
// longer path decides.
type FieldRule struct {
	// path leads to the field, such as spec.items[].secretName: [] stands for each item of a list.
	// +required
	// +k8s:required
	// +k8s:maxLength=512
	Path string `json:"path"`
	// as says what becomes of the field: Copy, Name, Reference, Namespace, Labels, LabelSelector, Omit or Refuse. Copy when not set.
	// +optional
	// +k8s:optional
	As FieldUse `json:"as,omitempty"`
	// of is the kind of the object that a Name or a Reference names: secrets, configmaps, services, persistentvolumeclaims, pods,
	// or RESOURCE.GROUP of a kind that goes to the host by a rule. Secrets and configmaps go to the host with the object.
	// +optional
	// +k8s:optional
	// +k8s:maxLength=320
	Of string `json:"of,omitempty"`
	// oneOf are the values that the field may have. An object with another one is refused. Any value when not set.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=100
	// +k8s:eachVal=+k8s:maxLength=256
	OneOf []string `json:"oneOf,omitempty"`
}

// KindFromHost shows objects of a kind of the host inside, by their names. The kind is of a
// CustomResourceDefinition of the host, and its objects belong to namespaces.
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
	// mappings show one object each, or all of a namespace of the host. Who adds one needs the rights to get, list and watch on the host what it shows.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=32
	Mappings []CustomMapping `json:"mappings,omitempty"`
}

// CustomMapping shows objects of the host inside.
type CustomMapping struct {
	// from is what is shown.
	From CustomSource `json:"from"`
	// to is where it is shown inside. It comes when the namespace is there. An object of a tenant's that has the name stays as it is.
	To CustomTarget `json:"to"`
}

// CustomSource names an object of the host, or all of a namespace.
type CustomSource struct {
	// namespace on the host. It is that of the VirtualCluster when not set.
	// +optional
	// +k8s:optional
	// +k8s:format=k8s-short-name
	Namespace string `json:"namespace,omitempty"`
	// name of the object, or * for all of the namespace.
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
	// name of the object. It is that on the host when not set, and always where all of a namespace are shown.
	// +optional
	// +k8s:optional
	// +k8s:format=k8s-long-name
	Name string `json:"name,omitempty"`
}
