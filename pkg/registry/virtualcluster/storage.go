// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

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
	"garret.dev/garret/apis/tenancy/validation"
)

// Storage serves the resource and its subresources.
type Storage struct {
	VirtualCluster *REST
	Status         *StatusREST
	Kubeconfig     *KubeconfigREST
	Proxy          *ProxyREST
}

// Config is what the storage works with.
type Config struct {
	Scheme      *runtime.Scheme
	RESTOptions generic.RESTOptionsGetter
	Validator   *validation.Validator
	// Templates and Hosts are what virtual clusters are made from and limited by.
	Templates Templates
	Hosts     rest.Getter
	// Kubeconfigs issues credentials.
	Kubeconfigs KubeconfigIssuer
	// Relay carries requests inside.
	Relay Relay
}

// NewStorage builds the storage of virtualclusters.
func NewStorage(config Config) (*Storage, error) {
	main := newStrategy(config.Scheme, config.Validator)
	store := &genericregistry.Store{
		NewFunc:                   func() runtime.Object { return &tenancy.VirtualCluster{} },
		NewListFunc:               func() runtime.Object { return &tenancy.VirtualClusterList{} },
		PredicateFunc:             matcher,
		DefaultQualifiedResource:  tenancy.Resource("virtualclusters"),
		SingularQualifiedResource: tenancy.Resource("virtualcluster"),

		CreateStrategy:      main,
		UpdateStrategy:      main,
		DeleteStrategy:      main,
		ResetFieldsStrategy: main,
		TableConvertor:      tableConvertor{},
	}
	options := &generic.StoreOptions{RESTOptions: config.RESTOptions, AttrFunc: attributes}
	if err := store.CompleteWithOptions(options); err != nil {
		return nil, fmt.Errorf("storage of virtualclusters: %w", err)
	}

	status := *store
	status.CreateStrategy = nil
	status.DeleteStrategy = nil
	status.UpdateStrategy = statusStrategy{main}
	status.ResetFieldsStrategy = statusStrategy{main}

	return &Storage{
		VirtualCluster: newREST(store, config.Templates, config.Hosts),
		Status:         &StatusREST{&status},
		Kubeconfig:     &KubeconfigREST{clusters: store, issuer: config.Kubeconfigs},
		Proxy:          &ProxyREST{clusters: store, relay: config.Relay},
	}, nil
}

// StatusREST serves virtualclusters/status.
type StatusREST struct{ store *genericregistry.Store }

// New returns the kind that the subresource reads and writes.
func (*StatusREST) New() runtime.Object { return &tenancy.VirtualCluster{} }

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

// cluster reads the virtual cluster that a subresource is about, as it is now
// when resourceVersion is empty, or as the watch cache knows it when it is "0".
func cluster(ctx context.Context, store rest.Getter, name, resourceVersion string) (*tenancy.VirtualCluster, error) {
	obj, err := store.Get(ctx, name, &metav1.GetOptions{ResourceVersion: resourceVersion})
	if err != nil {
		return nil, err
	}
	vc, ok := obj.(*tenancy.VirtualCluster)
	if !ok {
		return nil, fmt.Errorf("storage of virtualclusters holds a %T under %s", obj, name)
	}
	return vc, nil
}
