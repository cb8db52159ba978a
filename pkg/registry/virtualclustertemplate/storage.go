// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualclustertemplate

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/clock"

	"garret.dev/garret/apis/tenancy"
	"garret.dev/garret/pkg/registry/turn"
)

// REST serves virtualclustertemplates.
type REST struct {
	*genericregistry.Store
	strategy strategy
	// marking is had by one write at a time that marks a default, of all replicas.
	marking *turn.Turn
}

var (
	_ rest.StandardStorage    = &REST{}
	_ rest.ShortNamesProvider = &REST{}
	_ rest.CategoriesProvider = &REST{}
)

// NewStorage builds the storage of virtualclustertemplates.
func NewStorage(scheme *runtime.Scheme, restOptions generic.RESTOptionsGetter) (*REST, error) {
	r := &REST{}
	r.strategy = newStrategy(scheme, r.Default)
	store := &genericregistry.Store{
		NewFunc:                   func() runtime.Object { return &tenancy.VirtualClusterTemplate{} },
		NewListFunc:               func() runtime.Object { return &tenancy.VirtualClusterTemplateList{} },
		DefaultQualifiedResource:  tenancy.Resource("virtualclustertemplates"),
		SingularQualifiedResource: tenancy.Resource("virtualclustertemplate"),

		CreateStrategy: r.strategy,
		UpdateStrategy: r.strategy,
		DeleteStrategy: r.strategy,
		TableConvertor: tableConvertor(),
	}
	if err := store.CompleteWithOptions(&generic.StoreOptions{RESTOptions: restOptions}); err != nil {
		return nil, fmt.Errorf("storage of virtualclustertemplates: %w", err)
	}
	holder, disconnect, err := turn.InDatastore(restOptions, "default-template")
	if err != nil {
		return nil, err
	}
	destroy := store.DestroyFunc
	store.DestroyFunc = func() { destroy(); disconnect() }
	r.Store, r.marking = store, turn.New(holder, clock.RealClock{})
	return r, nil
}

// Default returns the template that is marked as default, nil where none is. Of
// two that an older release of Garret let in, the newest wins.
func (r *REST) Default(ctx context.Context) (*tenancy.VirtualClusterTemplate, error) {
	obj, err := r.List(ctx, nil)
	if err != nil {
		return nil, err
	}
	list, ok := obj.(*tenancy.VirtualClusterTemplateList)
	if !ok {
		return nil, fmt.Errorf("storage of virtualclustertemplates listed a %T", obj)
	}
	var newest *tenancy.VirtualClusterTemplate
	for i := range list.Items {
		item := &list.Items[i]
		if item.Spec.Default && (newest == nil || newest.CreationTimestamp.Before(&item.CreationTimestamp)) {
			newest = item
		}
	}
	return newest, nil
}

// ShortNames lets people type kubectl get vct.
func (*REST) ShortNames() []string { return []string{"vct"} }

// Categories puts the resource into kubectl get garret.
func (*REST) Categories() []string { return []string{"garret"} }
