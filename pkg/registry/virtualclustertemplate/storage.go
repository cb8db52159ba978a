// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualclustertemplate

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	"garret.dev/garret/apis/tenancy"
)

// REST serves virtualclustertemplates.
type REST struct{ *genericregistry.Store }

var (
	_ rest.StandardStorage    = &REST{}
	_ rest.ShortNamesProvider = &REST{}
	_ rest.CategoriesProvider = &REST{}
)

// NewStorage builds the storage of virtualclustertemplates.
func NewStorage(scheme *runtime.Scheme, restOptions generic.RESTOptionsGetter) (*REST, error) {
	strategy := newStrategy(scheme)
	store := &genericregistry.Store{
		NewFunc:                   func() runtime.Object { return &tenancy.VirtualClusterTemplate{} },
		NewListFunc:               func() runtime.Object { return &tenancy.VirtualClusterTemplateList{} },
		PredicateFunc:             matcher,
		DefaultQualifiedResource:  tenancy.Resource("virtualclustertemplates"),
		SingularQualifiedResource: tenancy.Resource("virtualclustertemplate"),

		CreateStrategy: strategy,
		UpdateStrategy: strategy,
		DeleteStrategy: strategy,
		TableConvertor: tableConvertor{},
	}
	if err := store.CompleteWithOptions(&generic.StoreOptions{RESTOptions: restOptions, AttrFunc: attributes}); err != nil {
		return nil, fmt.Errorf("storage of virtualclustertemplates: %w", err)
	}
	return &REST{store}, nil
}

// ShortNames lets people type kubectl get vct.
func (*REST) ShortNames() []string { return []string{"vct"} }

// Categories puts the resource into kubectl get garret.
func (*REST) Categories() []string { return []string{"garret"} }
