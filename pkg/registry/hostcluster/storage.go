// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package hostcluster

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	"garret.dev/garret/apis/tenancy"
	"garret.dev/garret/pkg/registry/status"
)

// Storage serves the resource and its subresource.
type Storage struct {
	HostCluster *REST
	Status      *status.REST
	// deleted wakes KeepLocal.
	deleted chan struct{}
}

// NewStorage builds the storage of hostclusters, whose default template is one of templates.
func NewStorage(scheme *runtime.Scheme, restOptions generic.RESTOptionsGetter, templates rest.Getter) (*Storage, error) {
	main := newStrategy(scheme, templates)
	store := &genericregistry.Store{
		NewFunc:                   func() runtime.Object { return &tenancy.HostCluster{} },
		NewListFunc:               func() runtime.Object { return &tenancy.HostClusterList{} },
		DefaultQualifiedResource:  tenancy.Resource("hostclusters"),
		SingularQualifiedResource: tenancy.Resource("hostcluster"),

		CreateStrategy:      main,
		UpdateStrategy:      main,
		DeleteStrategy:      main,
		ResetFieldsStrategy: main,
		TableConvertor:      tableConvertor(),
	}
	if err := store.CompleteWithOptions(&generic.StoreOptions{RESTOptions: restOptions}); err != nil {
		return nil, fmt.Errorf("storage of hostclusters: %w", err)
	}
	storage := &Storage{HostCluster: &REST{store}, Status: status.New(store, statusStrategy{main}), deleted: make(chan struct{}, 1)}
	store.AfterDelete = storage.afterDelete
	return storage, nil
}

// REST serves hostclusters.
type REST struct{ *genericregistry.Store }

var (
	_ rest.StandardStorage    = &REST{}
	_ rest.ShortNamesProvider = &REST{}
	_ rest.CategoriesProvider = &REST{}
)

// ShortNames lets people type kubectl get hc.
func (*REST) ShortNames() []string { return []string{"hc"} }

// Categories puts the resource into kubectl get garret.
func (*REST) Categories() []string { return []string{"garret"} }
