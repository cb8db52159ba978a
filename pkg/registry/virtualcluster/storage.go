// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	corelisters "k8s.io/client-go/listers/core/v1"

	"garret.dev/garret/apis/tenancy"
	"garret.dev/garret/apis/tenancy/validation"
	"garret.dev/garret/pkg/registry/status"
)

// Storage serves the resource and its subresources.
type Storage struct {
	VirtualCluster *REST
	Status         *status.REST
	Kubeconfig     *KubeconfigREST
	Proxy          *ProxyREST
	// Statuses are not served.
	Statuses *Statuses
}

// Config is what the storage works with.
type Config struct {
	Scheme      *runtime.Scheme
	RESTOptions generic.RESTOptionsGetter
	Validator   *validation.Validator
	// Templates and Hosts are what virtual clusters are made from and limited by.
	Templates Templates
	Hosts     rest.Getter
	// Authorizer tells what users may do on the host.
	Authorizer authorizer.UnconditionalAuthorizer
	// Definition reads those of the host's kinds.
	Definition Definition
	// Serves tells which kinds of Kubernetes the host has.
	Serves Serves
	// Namespaces are those of the host.
	Namespaces corelisters.NamespaceLister
	// Kubeconfigs issues credentials.
	Kubeconfigs KubeconfigIssuer
	// Relay carries requests inside.
	Relay Relay
}

// NewStorage builds the storage of virtualclusters.
func NewStorage(config Config) (*Storage, error) {
	main := newStrategy(config.Scheme, config.Validator)
	main.namespaces = config.Namespaces
	store := &genericregistry.Store{
		NewFunc:                   func() runtime.Object { return &tenancy.VirtualCluster{} },
		NewListFunc:               func() runtime.Object { return &tenancy.VirtualClusterList{} },
		DefaultQualifiedResource:  tenancy.Resource("virtualclusters"),
		SingularQualifiedResource: tenancy.Resource("virtualcluster"),

		CreateStrategy:      main,
		UpdateStrategy:      main,
		DeleteStrategy:      main,
		ResetFieldsStrategy: main,
		TableConvertor:      tableConvertor(),
	}
	options := &generic.StoreOptions{RESTOptions: config.RESTOptions, AttrFunc: attributes}
	if err := store.CompleteWithOptions(options); err != nil {
		return nil, fmt.Errorf("storage of virtualclusters: %w", err)
	}
	limit, disconnect, err := newLimit(store, config)
	if err != nil {
		return nil, err
	}
	destroy := store.DestroyFunc
	store.DestroyFunc = func() { destroy(); disconnect() }

	statuses := status.New(store, statusStrategy{main})
	return &Storage{
		VirtualCluster: newREST(store, config, limit),
		Status:         statuses,
		Kubeconfig:     &KubeconfigREST{clusters: store, issuer: config.Kubeconfigs},
		Proxy:          &ProxyREST{clusters: store, relay: config.Relay},
		Statuses:       &Statuses{status: statuses, watcher: store},
	}, nil
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
