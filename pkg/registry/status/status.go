// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package status serves the subresource status of any kind.
package status

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// Strategy is how a kind's status is written.
type Strategy interface {
	rest.RESTUpdateStrategy
	rest.ResetFieldsStrategy
}

// REST serves the status of a kind.
type REST struct{ store *genericregistry.Store }

var _ rest.Patcher = &REST{}

// New serves the status of the objects in store, which it leaves as it is.
func New(store *genericregistry.Store, strategy Strategy) *REST {
	own := *store
	own.CreateStrategy = nil
	own.DeleteStrategy = nil
	own.UpdateStrategy = strategy
	own.ResetFieldsStrategy = strategy
	return &REST{&own}
}

// New returns the kind that the subresource reads and writes.
func (r *REST) New() runtime.Object { return r.store.New() }

// Destroy leaves the store to the kind itself, which shares it.
func (*REST) Destroy() {}

// Get reads the whole object, as the status of any kind does.
func (r *REST) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	return r.store.Get(ctx, name, options)
}

// Update writes the status. An object that is not there is not created, which
// server-side apply would otherwise ask for.
func (r *REST) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo,
	createValidation rest.ValidateObjectFunc, updateValidation rest.ValidateObjectUpdateFunc,
	_ bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return r.store.Update(ctx, name, info, createValidation, updateValidation, false, options)
}

// GetResetFields tells server-side apply which fields this path does not write.
func (r *REST) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return r.store.GetResetFields()
}

// ConvertToTable prints the whole object.
func (r *REST) ConvertToTable(ctx context.Context, object, options runtime.Object) (*metav1.Table, error) {
	return r.store.ConvertToTable(ctx, object, options)
}
