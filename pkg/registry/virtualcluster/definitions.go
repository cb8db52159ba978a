// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// Definition reads the CustomResourceDefinition of this name on the host.
type Definition func(ctx context.Context, name string) (*apiextensionsv1.CustomResourceDefinition, error)

// suitRules holds the rules that a write adds or changes to the definitions that the host
// has of their kinds. A definition that changes later is no reason to refuse a write about
// something else. Errors are API errors.
func (d Definition) suitRules(ctx context.Context, vc *tenancy.VirtualCluster, old *tenancy.VirtualClusterSpec) error {
	var errs field.ErrorList
	for i := range vc.Spec.Syncer.ToHost.Custom {
		internal := &vc.Spec.Syncer.ToHost.Custom[i]
		if slices.ContainsFunc(old.Syncer.ToHost.Custom, func(o tenancy.KindRule) bool { return equality.Semantic.DeepEqual(*internal, o) }) {
			continue
		}
		rule, at := &v1.KindRule{}, specPath.Child("syncer", "toHost", "custom").Index(i)
		if err := v1.Convert_tenancy_KindRule_To_v1_KindRule(internal, rule, nil); err != nil {
			return apierrors.NewInternalError(err)
		}
		if !strings.Contains(rule.Definition(), ".") {
			continue // validation says what is wrong with it
		}
		found, err := d.suitsKind(ctx, rule, at)
		if err != nil {
			return err
		}
		errs = append(errs, found...)
	}
	for _, each := range (&v1.SyncerSpec{}).BuiltIn() {
		built, on := switchedOn(&vc.Spec, each.Rule.Resource)
		if _, before := switchedOn(old, each.Rule.Resource); !on || before {
			continue
		}
		served, err := d.serves(ctx, &built)
		if err != nil {
			return err
		}
		if !served {
			// The kind is not the tenant's to correct.
			at := specPath.Child("syncer").Child(built.Field).Child("enabled")
			errs = append(errs, field.Forbidden(at, fmt.Sprintf("the host does not serve %s of %s, in version %s, to objects of a namespace: have it installed there first, or leave the field out",
				built.Rule.Resource, built.Rule.GroupVersionResource().Group, strings.Join(built.Versions, " or "))))
		}
	}
	for i := range vc.Spec.Syncer.FromHost.Custom {
		internal := &vc.Spec.Syncer.FromHost.Custom[i]
		rule := &v1.KindRule{APIVersion: internal.APIVersion, Resource: internal.Resource}
		known := func(o tenancy.KindFromHost) bool {
			return o.APIVersion == rule.APIVersion && o.Resource == rule.Resource
		}
		if slices.ContainsFunc(old.Syncer.FromHost.Custom, known) || !strings.Contains(rule.Definition(), ".") {
			continue
		}
		found, err := d.suitsKind(ctx, rule, specPath.Child("syncer", "fromHost", "custom").Index(i))
		if err != nil {
			return err
		}
		errs = append(errs, found...)
	}
	if len(errs) == 0 {
		return nil
	}
	return apierrors.NewInvalid(v1.SchemeGroupVersion.WithKind("VirtualCluster").GroupKind(), nameOf(vc), errs)
}

// serves tells whether the host has the kind in one of the versions that its rule is right for. An earlier
// version of the definition may lack fields that the rule is about. The error is an API error.
func (d Definition) serves(ctx context.Context, built *v1.BuiltInKind) (bool, error) {
	for _, version := range built.Versions {
		rule := &v1.KindRule{APIVersion: built.Rule.GroupVersionResource().Group + "/" + version, Resource: built.Rule.Resource}
		if found, err := d.suitsKind(ctx, rule, nil); err != nil || len(found) == 0 {
			return err == nil, err
		}
	}
	return false, nil
}

// suitsKind judges a rule by what the host has of its kind. The error is an API error.
func (d Definition) suitsKind(ctx context.Context, rule *v1.KindRule, at *field.Path) (field.ErrorList, error) {
	definition, err := d(ctx, rule.Definition())
	switch {
	case apierrors.IsNotFound(err):
		return field.ErrorList{field.Invalid(at.Child("resource"), rule.Resource, fmt.Sprintf(
			"the host has no CustomResourceDefinition %s: have it installed there first, or correct apiVersion and resource", rule.Definition()))}, nil
	case err != nil:
		return nil, apierrors.NewInternalError(fmt.Errorf("%s: CustomResourceDefinition %s of the host: %w", at, rule.Definition(), err))
	}
	return suits(rule, definition, at), nil
}

// suits judges a rule by the definition of its kind.
func suits(rule *v1.KindRule, definition *apiextensionsv1.CustomResourceDefinition, at *field.Path) field.ErrorList {
	if definition.Spec.Scope != apiextensionsv1.NamespaceScoped {
		return field.ErrorList{field.Forbidden(at.Child("resource"), fmt.Sprintf("objects of %s belong to no namespace, and would be everybody's on the host: leave the rule out", definition.Name))}
	}
	named := rule.GroupVersionResource().Version
	var served []string
	var version *apiextensionsv1.CustomResourceDefinitionVersion
	for i := range definition.Spec.Versions {
		if each := &definition.Spec.Versions[i]; each.Served {
			served = append(served, each.Name)
			if each.Name == named {
				version = each
			}
		}
	}
	if version == nil {
		return field.ErrorList{field.NotSupported(at.Child("apiVersion"), named, served)}
	}
	var schema *apiextensionsv1.JSONSchemaProps
	if version.Schema != nil {
		schema = version.Schema.OpenAPIV3Schema
	}
	var errs field.ErrorList
	for i := range rule.Fields {
		each, place := &rule.Fields[i], at.Child("fields").Index(i)
		if message := suitsField(each, schema); message != "" {
			errs = append(errs, field.Invalid(place.Child("path"), each.Path, message))
		}
	}
	for i, path := range rule.Status {
		place := at.Child("status").Index(i)
		if version.Subresources == nil || version.Subresources.Status == nil {
			errs = append(errs, field.Invalid(place, path, fmt.Sprintf("%s has no status of its own in version %s: leave it out", definition.Name, named)))
			continue
		}
		if _, message := schemaAt(schema, path); message != "" {
			errs = append(errs, field.Invalid(place, path, message))
		}
	}
	return errs
}

// suitsField says what is wrong with the rule of a field; empty for nothing.
func suitsField(rule *v1.FieldRule, schema *apiextensionsv1.JSONSchemaProps) string {
	at, message := schemaAt(schema, rule.Path)
	if message != "" || open(at) {
		return message
	}
	wanted := ""
	switch rule.As {
	case v1.FieldName, v1.FieldNamespace:
		wanted = "string"
	case v1.FieldLabels, v1.FieldSelector, v1.FieldReference:
		wanted = "object"
	}
	switch {
	case wanted != "" && at.Type != wanted:
		return fmt.Sprintf("is of type %s, and as: %s takes a field of type %s", at.Type, rule.As, wanted)
	case rule.As == v1.FieldLabels && (at.AdditionalProperties == nil || at.AdditionalProperties.Schema == nil || at.AdditionalProperties.Schema.Type != "string"):
		return "is no map of labels: set as to another value"
	case len(rule.OneOf) > 0 && (at.Type == "object" || at.Type == "array"):
		return fmt.Sprintf("is of type %s, and oneOf takes a field with a single value", at.Type)
	}
	return ""
}

// open tells whether the schema lets anything be there.
func open(schema *apiextensionsv1.JSONSchemaProps) bool {
	return schema == nil || schema.Type == "" || schema.XPreserveUnknownFields != nil && *schema.XPreserveUnknownFields
}

// schemaAt is the schema of the field that the path leads to, or of what it is in where
// that lets anything be there.
func schemaAt(schema *apiextensionsv1.JSONSchemaProps, path string) (*apiextensionsv1.JSONSchemaProps, string) {
	steps, err := v1.ParsePath(path)
	if err != nil {
		return nil, "" // validation says what is wrong with it
	}
	at := schema
	for _, step := range steps {
		if at == nil {
			return nil, ""
		}
		next, known := at.Properties[step.Name]
		switch {
		case known:
			at = &next
		case at.AdditionalProperties != nil && at.AdditionalProperties.Schema != nil:
			at = at.AdditionalProperties.Schema
		case open(at):
			return nil, ""
		default:
			return nil, fmt.Sprintf("the schema on the host has no field %s there: correct the path", step.Name)
		}
		switch {
		case step.Each && at.Type != "array" && !open(at):
			return nil, fmt.Sprintf("%s is of type %s on the host: write it without []", step.Name, at.Type)
		case step.Each:
			var items *apiextensionsv1.JSONSchemaProps
			if at.Items != nil {
				items = at.Items.Schema
			}
			at = items
		}
	}
	return at, ""
}
