// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualclustertemplate

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"

	"garret.dev/garret/apis/tenancy"
	"garret.dev/garret/apis/tenancy/validation"
	registrystrategy "garret.dev/garret/pkg/registry/strategy"
	"garret.dev/garret/pkg/template"
)

type strategy struct {
	registrystrategy.Base
	// marked is the template that is marked as default already.
	marked func(context.Context) (*tenancy.VirtualClusterTemplate, error)
}

var (
	_ rest.RESTCreateStrategy = strategy{}
	_ rest.RESTUpdateStrategy = strategy{}
	_ rest.RESTDeleteStrategy = strategy{}

	_ rest.DeclarativeValidationStrategy = strategy{}
)

func newStrategy(scheme *runtime.Scheme, marked func(context.Context) (*tenancy.VirtualClusterTemplate, error)) strategy {
	return strategy{Base: registrystrategy.New(scheme), marked: marked}
}

func (strategy) NamespaceScoped() bool { return false }

func (strategy) WarningsOnCreate(_ context.Context, obj runtime.Object) []string {
	return warnings(obj.(*tenancy.VirtualClusterTemplate))
}

func (strategy) WarningsOnUpdate(_ context.Context, obj, old runtime.Object) []string {
	changed, before := obj.(*tenancy.VirtualClusterTemplate), old.(*tenancy.VirtualClusterTemplate)
	if equality.Semantic.DeepEqual(changed.Spec, before.Spec) {
		return nil
	}
	return warnings(changed)
}

// warnings tell what keeps a template that is the default from being applied to
// those who name none, which would only show when they are refused.
func warnings(found *tenancy.VirtualClusterTemplate) []string {
	if !found.Spec.Default {
		return nil
	}
	return template.RefusesAll(found, &tenancy.TemplateReference{Name: found.Name}, defaultPath)
}

func (strategy) PrepareForCreate(_ context.Context, obj runtime.Object) {
	obj.(*tenancy.VirtualClusterTemplate).Generation = 1
}

func (strategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	changed, before := obj.(*tenancy.VirtualClusterTemplate), old.(*tenancy.VirtualClusterTemplate)
	if !equality.Semantic.DeepEqual(changed.Spec, before.Spec) {
		changed.Generation = before.Generation + 1
	}
}

func (s strategy) Validate(ctx context.Context, obj runtime.Object) field.ErrorList {
	created := obj.(*tenancy.VirtualClusterTemplate)
	errs := validation.TemplateCreate(created)
	errs = append(errs, template.Validate(created.Spec.Versions, versionsPath)...)
	return append(errs, s.single(ctx, created)...)
}

// ValidateUpdate judges what differs, so that a template that an older release
// of Garret accepted can still be labelled.
func (s strategy) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	changed, before := obj.(*tenancy.VirtualClusterTemplate), old.(*tenancy.VirtualClusterTemplate)
	errs := validation.TemplateUpdate(changed, before)
	if !equality.Semantic.DeepEqual(changed.Spec.Versions, before.Spec.Versions) {
		errs = append(errs, template.Validate(changed.Spec.Versions, versionsPath)...)
	}
	if !before.Spec.Default {
		errs = append(errs, s.single(ctx, changed)...)
	}
	return errs
}

var (
	versionsPath = field.NewPath("spec", "versions")
	defaultPath  = field.NewPath("spec", "default")
)

// single refuses a second default template.
func (s strategy) single(ctx context.Context, candidate *tenancy.VirtualClusterTemplate) field.ErrorList {
	if !candidate.Spec.Default {
		return nil
	}
	marked, err := s.marked(ctx)
	if err != nil {
		return field.ErrorList{field.InternalError(defaultPath, err)}
	}
	if marked == nil || marked.Name == candidate.Name {
		return nil
	}
	return field.ErrorList{field.Forbidden(defaultPath, fmt.Sprintf(
		"the template %s is the default already: take its mark away first", marked.Name))}
}
