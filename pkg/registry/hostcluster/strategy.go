// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package hostcluster

import (
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"garret.dev/garret/apis/tenancy"
	"garret.dev/garret/apis/tenancy/validation"
	registrystrategy "garret.dev/garret/pkg/registry/strategy"
)

// strategy is for writes to metadata and spec.
type strategy struct {
	registrystrategy.Base
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
	return strategy{Base: registrystrategy.New(scheme), templates: templates}
}

func (strategy) NamespaceScoped() bool { return false }

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
	return registrystrategy.ResetFields(fieldpath.MakePathOrDie("status"))
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
	return registrystrategy.StatusResetFields()
}
