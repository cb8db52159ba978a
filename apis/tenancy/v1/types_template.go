// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// +genclient
// +genclient:nonNamespaced
// +genclient:noStatus
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualClusterTemplate is a reusable part of the spec of virtual clusters, with parameters.
type VirtualClusterTemplate struct {
	// +k8s:opaqueType
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	// +k8s:opaqueType
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what the template gives to virtual clusters.
	// +optional
	Spec VirtualClusterTemplateSpec `json:"spec,omitempty"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualClusterTemplateList is a list of templates.
type VirtualClusterTemplateList struct {
	// +k8s:opaqueType
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	// +k8s:opaqueType
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the templates.
	Items []VirtualClusterTemplate `json:"items"`
}

// VirtualClusterTemplateSpec is what a template gives to virtual clusters.
type VirtualClusterTemplateSpec struct {
	// description tells people what the template is for.
	// +optional
	// +k8s:optional
	// +k8s:maxLength=1024
	Description string `json:"description,omitempty"`
	// default makes this the template of virtual clusters that name none, unless their host
	// cluster names another. At most one template may set it.
	// +optional
	Default bool `json:"default,omitempty"`
	// versions are the versions of the template, at least one. A virtual cluster that names no
	// version gets the highest one that is not a pre-release.
	// +listType=map
	// +listMapKey=version
	// +patchStrategy=merge
	// +patchMergeKey=version
	// +k8s:required
	// +k8s:listType=map
	// +k8s:listMapKey=version
	// +k8s:maxItems=64
	Versions []TemplateVersion `json:"versions" patchStrategy:"merge" patchMergeKey:"version"`
}

// TemplateVersion is one version of a template.
type TemplateVersion struct {
	// version is a semantic version without a leading v, such as 1.2.0.
	// +k8s:required
	// +k8s:maxLength=64
	Version string `json:"version"`
	// parameters are what a virtual cluster can choose. In defaults and forced, $(NAME) stands
	// for the value of the parameter NAME, and $$(NAME) for the text $(NAME). A string that
	// consists of $(NAME) only becomes a value of the parameter's type.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +patchStrategy=merge
	// +patchMergeKey=name
	// +k8s:optional
	// +k8s:listType=map
	// +k8s:listMapKey=name
	// +k8s:maxItems=64
	Parameters []TemplateParameter `json:"parameters,omitempty" patchStrategy:"merge" patchMergeKey:"name"`
	// defaults is a part of the spec of a VirtualCluster. Fields that a virtual cluster sets
	// itself override it.
	// +optional
	// +patchStrategy=replace
	Defaults *runtime.RawExtension `json:"defaults,omitempty" patchStrategy:"replace"`
	// forced is a part of the spec of a VirtualCluster that a virtual cluster cannot override.
	// It overrides defaults.
	// +optional
	// +patchStrategy=replace
	Forced *runtime.RawExtension `json:"forced,omitempty" patchStrategy:"replace"`
}

// TemplateParameterType is the type of a parameter's value.
// +enum
// +k8s:enum
type TemplateParameterType string

const (
	// ParameterString is any text.
	ParameterString TemplateParameterType = "string"
	// ParameterInteger is a whole number.
	ParameterInteger TemplateParameterType = "integer"
	// ParameterBoolean is true or false.
	ParameterBoolean TemplateParameterType = "boolean"
	// ParameterQuantity is an amount such as 500m or 5Gi.
	ParameterQuantity TemplateParameterType = "quantity"
)

// TemplateParameter is a value that a virtual cluster can choose.
type TemplateParameter struct {
	// name of the parameter: letters, digits, - and _, beginning with a letter.
	// +k8s:required
	// +k8s:maxLength=63
	Name string `json:"name"`
	// description tells people what the parameter is for.
	// +optional
	// +k8s:optional
	// +k8s:maxLength=1024
	Description string `json:"description,omitempty"`
	// type of the value: string, integer, boolean or quantity. Defaults to string.
	// +optional
	// +k8s:optional
	Type TemplateParameterType `json:"type,omitempty"`
	// default is the value where a virtual cluster gives none. Without a default, the parameter
	// is required.
	// +optional
	Default *string `json:"default,omitempty"`
	// options are the allowed values. All values are allowed when it is not set.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:listType=atomic
	// +k8s:unique=set
	// +k8s:maxItems=100
	Options []string `json:"options,omitempty"`
	// minimum is the lowest value of an integer or a quantity.
	// +optional
	Minimum *string `json:"minimum,omitempty"`
	// maximum is the highest value of an integer or a quantity.
	// +optional
	Maximum *string `json:"maximum,omitempty"`
	// pattern is a regular expression (RE2) that the whole string must match.
	// +optional
	// +k8s:optional
	// +k8s:maxLength=1024
	Pattern string `json:"pattern,omitempty"`
}
