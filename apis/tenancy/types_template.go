// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualClusterTemplate is a reusable part of the spec of virtual clusters, with parameters.
type VirtualClusterTemplate struct {
	metav1.TypeMeta
	// metadata is the standard object metadata.
	metav1.ObjectMeta
	// spec is what the template gives to virtual clusters.
	Spec VirtualClusterTemplateSpec
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// VirtualClusterTemplateList is a list of templates.
type VirtualClusterTemplateList struct {
	metav1.TypeMeta
	// metadata is the standard list metadata.
	metav1.ListMeta
	// items are the templates.
	Items []VirtualClusterTemplate
}

// VirtualClusterTemplateSpec is what a template gives to virtual clusters.
type VirtualClusterTemplateSpec struct {
	// description tells people what the template is for.
	Description string
	// default makes this the template of virtual clusters that name none, unless their host
	// cluster names another. At most one template may set it.
	Default bool
	// versions are the versions of the template, at least one. A virtual cluster that names no
	// version gets the highest one that is not a pre-release.
	Versions []TemplateVersion
}

// TemplateVersion is one version of a template.
type TemplateVersion struct {
	// version is a semantic version without a leading v, such as 1.2.0.
	Version string
	// parameters are what a virtual cluster can choose. In defaults and forced, $(NAME) stands
	// for the value of the parameter NAME, and $$(NAME) for the text $(NAME). A string that
	// consists of $(NAME) only becomes a value of the parameter's type.
	Parameters []TemplateParameter
	// defaults is a part of the spec of a VirtualCluster. Fields that a virtual cluster sets
	// itself override it.
	Defaults *runtime.RawExtension
	// forced is a part of the spec of a VirtualCluster that a virtual cluster cannot override.
	// It overrides defaults.
	Forced *runtime.RawExtension
}

// TemplateParameterType is the type of a parameter's value.
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
	Name string
	// description tells people what the parameter is for.
	Description string
	// type of the value: string, integer, boolean or quantity. Defaults to string.
	Type TemplateParameterType
	// default is the value where a virtual cluster gives none. Without a default, the parameter
	// is required.
	Default *string
	// options are the allowed values. All values are allowed when it is not set.
	Options []string
	// minimum is the lowest value of an integer or a quantity.
	Minimum *string
	// maximum is the highest value of an integer or a quantity.
	Maximum *string
	// pattern is a regular expression (RE2) that the whole string must match.
	Pattern string
}
