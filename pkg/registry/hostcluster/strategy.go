// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package hostcluster

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/names"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/apis/tenancy/validation"
)

// strategy is for writes to metadata and spec.
type strategy struct {
	// DeclarativeValidation runs the rules that the types declare, after those below.
	rest.DeclarativeValidation
	names.NameGenerator
	// templates are what the default template is looked up in, for warnings.
	templates rest.Getter
}

var (
	_ rest.RESTCreateStrategy = strategy{}
	_ rest.RESTUpdateStrategy = strategy{}
	_ rest.RESTDeleteStrategy = strategy{}

	_ rest.DeclarativeValidationStrategy = strategy{}
	_ rest.RESTUpdateStrategy            = statusStrategy{}

	_ rest.ResetFieldsStrategy = strategy{}
	_ rest.ResetFieldsStrategy = statusStrategy{}
)

func newStrategy(scheme *runtime.Scheme, templates rest.Getter) strategy {
	return strategy{DeclarativeValidation: rest.DeclarativeValidation{Scheme: scheme}, NameGenerator: names.SimpleNameGenerator, templates: templates}
}

func (strategy) NamespaceScoped() bool { return false }

// AllowCreateOnUpdate is off: a PUT to a name that is gone should say so.
func (strategy) AllowCreateOnUpdate(context.Context) bool { return false }

func (strategy) AllowUnconditionalUpdate(context.Context) bool { return true }

func (strategy) Canonicalize(runtime.Object) {}

func (s strategy) WarningsOnCreate(ctx context.Context, obj runtime.Object) []string {
	return s.warnings(ctx, obj.(*tenancy.HostCluster), &tenancy.HostCluster{})
}

func (s strategy) WarningsOnUpdate(ctx context.Context, obj, old runtime.Object) []string {
	return s.warnings(ctx, obj.(*tenancy.HostCluster), old.(*tenancy.HostCluster))
}

// PrepareForCreate starts without a status: the controller has not seen it yet.
func (strategy) PrepareForCreate(_ context.Context, obj runtime.Object) {
	host := obj.(*tenancy.HostCluster)
	host.Generation = 1
	host.Status = tenancy.HostClusterStatus{}
}

func (strategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	host, before := obj.(*tenancy.HostCluster), old.(*tenancy.HostCluster)
	host.Status = before.Status
	if !equality.Semantic.DeepEqual(host.Spec, before.Spec) {
		host.Generation = before.Generation + 1
	}
}

func (strategy) Validate(_ context.Context, obj runtime.Object) field.ErrorList {
	return validation.HostClusterCreate(obj.(*tenancy.HostCluster))
}

func (strategy) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	return validation.HostClusterUpdate(obj.(*tenancy.HostCluster), old.(*tenancy.HostCluster))
}

// GetResetFields tells server-side apply which fields this path does not write.
func (strategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return resetFields(fieldpath.MakePathOrDie("status"))
}

// statusStrategy is for writes to the status.
type statusStrategy struct{ strategy }

// PrepareForUpdate keeps everything but the status as it was.
func (statusStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	host, before := obj.(*tenancy.HostCluster), old.(*tenancy.HostCluster)
	host.Spec = before.Spec
	metav1.ResetObjectMetaForStatus(host, before)
}

// WarningsOnUpdate are about the spec, which stays.
func (statusStrategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

func (statusStrategy) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	return validation.HostClusterStatusUpdate(obj.(*tenancy.HostCluster), old.(*tenancy.HostCluster))
}

// GetResetFields tells server-side apply which fields this path does not write.
func (statusStrategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return resetFields(
		fieldpath.MakePathOrDie("spec"),
		fieldpath.MakePathOrDie("metadata", "labels"),
		fieldpath.MakePathOrDie("metadata", "annotations"),
		fieldpath.MakePathOrDie("metadata", "finalizers"),
		fieldpath.MakePathOrDie("metadata", "ownerReferences"),
		fieldpath.MakePathOrDie("metadata", "deletionTimestamp"),
		fieldpath.MakePathOrDie("metadata", "generation"),
	)
}

func resetFields(paths ...fieldpath.Path) map[fieldpath.APIVersion]*fieldpath.Set {
	return map[fieldpath.APIVersion]*fieldpath.Set{
		fieldpath.APIVersion(v1.SchemeGroupVersion.String()): fieldpath.NewSet(paths...),
	}
}

// attributes are what label and field selectors choose by.
func attributes(obj runtime.Object) (labels.Set, fields.Set, error) {
	host, ok := obj.(*tenancy.HostCluster)
	if !ok {
		return nil, nil, fmt.Errorf("not a HostCluster but a %T", obj)
	}
	return host.Labels, generic.ObjectMetaFieldsSet(&host.ObjectMeta, false), nil
}

func matcher(label labels.Selector, field fields.Selector) apistorage.SelectionPredicate {
	return apistorage.SelectionPredicate{Label: label, Field: field, GetAttrs: attributes}
}
