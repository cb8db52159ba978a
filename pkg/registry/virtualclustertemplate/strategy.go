// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualclustertemplate

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/names"

	"garret.dev/garret/apis/tenancy"
	"garret.dev/garret/apis/tenancy/validation"
)

type strategy struct {
	runtime.ObjectTyper
	names.NameGenerator
}

var (
	_ rest.RESTCreateStrategy = strategy{}
	_ rest.RESTUpdateStrategy = strategy{}
	_ rest.RESTDeleteStrategy = strategy{}
)

func newStrategy(typer runtime.ObjectTyper) strategy {
	return strategy{ObjectTyper: typer, NameGenerator: names.SimpleNameGenerator}
}

func (strategy) NamespaceScoped() bool { return false }

// AllowCreateOnUpdate is off: a PUT to a name that is gone should say so.
func (strategy) AllowCreateOnUpdate(context.Context) bool { return false }

func (strategy) AllowUnconditionalUpdate(context.Context) bool { return true }

func (strategy) Canonicalize(runtime.Object) {}

func (strategy) WarningsOnCreate(context.Context, runtime.Object) []string { return nil }

func (strategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

func (strategy) PrepareForCreate(_ context.Context, obj runtime.Object) {
	obj.(*tenancy.VirtualClusterTemplate).Generation = 1
}

func (strategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	template, before := obj.(*tenancy.VirtualClusterTemplate), old.(*tenancy.VirtualClusterTemplate)
	if !equality.Semantic.DeepEqual(template.Spec, before.Spec) {
		template.Generation = before.Generation + 1
	}
}

func (strategy) Validate(_ context.Context, obj runtime.Object) field.ErrorList {
	return validation.TemplateCreate(obj.(*tenancy.VirtualClusterTemplate))
}

func (strategy) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	return validation.TemplateUpdate(obj.(*tenancy.VirtualClusterTemplate), old.(*tenancy.VirtualClusterTemplate))
}

// attributes are what label and field selectors choose by.
func attributes(obj runtime.Object) (labels.Set, fields.Set, error) {
	template, ok := obj.(*tenancy.VirtualClusterTemplate)
	if !ok {
		return nil, nil, fmt.Errorf("not a VirtualClusterTemplate but a %T", obj)
	}
	return template.Labels, generic.ObjectMetaFieldsSet(&template.ObjectMeta, false), nil
}

func matcher(label labels.Selector, field fields.Selector) apistorage.SelectionPredicate {
	return apistorage.SelectionPredicate{Label: label, Field: field, GetAttrs: attributes}
}
