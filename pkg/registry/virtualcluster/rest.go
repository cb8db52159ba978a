// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	corelisters "k8s.io/client-go/listers/core/v1"

	"garret.dev/garret/apis/tenancy"
)

// REST serves virtualclusters. Before the store sees an object, its template is
// applied, its host cluster asked for room, and its writer's rights looked at.
type REST struct {
	*genericregistry.Store
	completer *completer
	limit     *limit
	rights    rights
	// definition is for the kinds that rules are about.
	definition Definition
	// serves tells of kinds of Kubernetes that a host may be without.
	serves Serves
	// namespaces are those of the host; nil where nobody knows them.
	namespaces corelisters.NamespaceLister
}

var (
	_ rest.StandardStorage    = &REST{}
	_ rest.ShortNamesProvider = &REST{}
	_ rest.CategoriesProvider = &REST{}
)

func newREST(store *genericregistry.Store, config Config, limit *limit) *REST {
	return &REST{
		Store: store, completer: &completer{templates: config.Templates, hosts: config.Hosts},
		limit: limit, rights: rights{config.Authorizer}, definition: config.Definition, serves: config.Serves, namespaces: config.Namespaces,
	}
}

// ShortNames lets people type kubectl get vc.
func (*REST) ShortNames() []string { return []string{"vc"} }

// Categories puts the resource into kubectl get garret.
func (*REST) Categories() []string { return []string{"garret"} }

// Create makes a virtual cluster.
func (r *REST) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc,
	options *metav1.CreateOptions) (runtime.Object, error) {
	vc, ok := obj.(*tenancy.VirtualCluster)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not a VirtualCluster but a %T", obj))
	}
	ctx, result := withOutcome(ctx)
	// First of all, since what is refused later may have been counted by a quota.
	err := r.limit.check(ctx, vc)
	if err != nil {
		return nil, err
	}
	if *result, err = r.create(ctx, vc); err != nil {
		return nil, err
	}
	room := r.limit.turn.Claim(options.DryRun)
	defer room.End()
	return r.Store.Create(ctx, vc, r.limit.after(validate, room), options)
}

// Update changes a virtual cluster, or makes one where server-side apply asks
// for it. The store may try several times, each time with the object as it is then.
func (r *REST) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo,
	createValidation rest.ValidateObjectFunc, updateValidation rest.ValidateObjectUpdateFunc,
	forceAllowCreate bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	ctx, result := withOutcome(ctx)
	room := r.limit.turn.Claim(options.DryRun)
	defer room.End()
	complete := func(ctx context.Context, obj, old runtime.Object) (runtime.Object, error) {
		vc, ok := obj.(*tenancy.VirtualCluster)
		before, oldOK := old.(*tenancy.VirtualCluster)
		if !ok || !oldOK {
			return nil, apierrors.NewBadRequest(fmt.Sprintf("not VirtualClusters but a %T in place of a %T", obj, old))
		}
		var err error
		switch {
		case before.UID == "":
			if err = r.limit.check(ctx, vc); err == nil {
				*result, err = r.create(ctx, vc)
			}
		case stale(vc, before):
			// The store refuses it as a conflict; another refusal would not be tried again.
		default:
			if *result, err = r.completer.update(ctx, vc, before, options.FieldManager); err == nil {
				err = r.check(ctx, vc, &before.Spec)
			}
		}
		return vc, err
	}
	return r.Store.Update(ctx, name, rest.WrapUpdatedObjectInfo(info, complete), r.limit.after(createValidation, room), updateValidation, forceAllowCreate, options)
}

// create completes a new virtual cluster. Its writer needs the rights that it lends,
// whether the template or the writer says so.
func (r *REST) create(ctx context.Context, vc *tenancy.VirtualCluster) (outcome, error) {
	result, err := r.completer.create(ctx, vc)
	if err != nil {
		return outcome{}, err
	}
	return result, r.check(ctx, vc, &tenancy.VirtualClusterSpec{})
}

// check looks at the rights of the writer, and then at what the host has.
func (r *REST) check(ctx context.Context, vc *tenancy.VirtualCluster, old *tenancy.VirtualClusterSpec) error {
	if err := r.rights.check(ctx, vc, old); err != nil {
		return err
	}
	if err := r.serves.suit(ctx, vc, old); err != nil {
		return err
	}
	return r.definition.suitRules(ctx, vc, old)
}

// stale says that vc is a change of another version of the object than old.
func stale(vc, old *tenancy.VirtualCluster) bool {
	return vc.ResourceVersion != "" && vc.ResourceVersion != old.ResourceVersion
}
