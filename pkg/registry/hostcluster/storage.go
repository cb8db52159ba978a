// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package hostcluster

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"garret.dev/garret/apis/tenancy"
)

// Storage serves the resource and its subresource.
type Storage struct {
	HostCluster *REST
	Status      *StatusREST
	// deleted wakes KeepLocal.
	deleted chan struct{}
}

// NewStorage builds the storage of hostclusters.
func NewStorage(scheme *runtime.Scheme, restOptions generic.RESTOptionsGetter) (*Storage, error) {
	main := newStrategy(scheme)
	store := &genericregistry.Store{
		NewFunc:                   func() runtime.Object { return &tenancy.HostCluster{} },
		NewListFunc:               func() runtime.Object { return &tenancy.HostClusterList{} },
		PredicateFunc:             matcher,
		DefaultQualifiedResource:  tenancy.Resource("hostclusters"),
		SingularQualifiedResource: tenancy.Resource("hostcluster"),

		CreateStrategy:      main,
		UpdateStrategy:      main,
		DeleteStrategy:      main,
		ResetFieldsStrategy: main,
		TableConvertor:      tableConvertor{},
	}
	if err := store.CompleteWithOptions(&generic.StoreOptions{RESTOptions: restOptions, AttrFunc: attributes}); err != nil {
		return nil, fmt.Errorf("storage of hostclusters: %w", err)
	}
	status := *store
	status.CreateStrategy = nil
	status.DeleteStrategy = nil
	status.UpdateStrategy = statusStrategy{main}
	status.ResetFieldsStrategy = statusStrategy{main}
	storage := &Storage{HostCluster: &REST{store}, Status: &StatusREST{&status}, deleted: make(chan struct{}, 1)}
	store.AfterDelete = storage.afterDelete
	return storage, nil
}

// REST serves hostclusters.
type REST struct{ *genericregistry.Store }

var (
	_ rest.StandardStorage    = &REST{}
	_ rest.ShortNamesProvider = &REST{}
	_ rest.CategoriesProvider = &REST{}
	_ rest.Patcher            = &StatusREST{}
)

// ShortNames lets people type kubectl get hc.
func (*REST) ShortNames() []string { return []string{"hc"} }

// Categories puts the resource into kubectl get garret.
func (*REST) Categories() []string { return []string{"garret"} }

// StatusREST serves hostclusters/status.
type StatusREST struct{ store *genericregistry.Store }

// New returns the kind that the subresource reads and writes.
func (*StatusREST) New() runtime.Object { return &tenancy.HostCluster{} }

// Destroy leaves the store to REST, which shares it.
func (*StatusREST) Destroy() {}

// Get reads the whole object, as the status of any kind does.
func (r *StatusREST) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	return r.store.Get(ctx, name, options)
}

// Update writes the status. An object that is not there is not created, which
// server-side apply would otherwise ask for.
func (r *StatusREST) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo,
	createValidation rest.ValidateObjectFunc, updateValidation rest.ValidateObjectUpdateFunc,
	_ bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return r.store.Update(ctx, name, info, createValidation, updateValidation, false, options)
}

// GetResetFields tells server-side apply which fields this path does not write.
func (r *StatusREST) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return r.store.GetResetFields()
}

// ConvertToTable prints the whole object.
func (r *StatusREST) ConvertToTable(ctx context.Context, object, options runtime.Object) (*metav1.Table, error) {
	return r.store.ConvertToTable(ctx, object, options)
}
