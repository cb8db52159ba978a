// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualclustertemplate

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	"garret.dev/garret/apis/tenancy"
	"garret.dev/garret/pkg/registry/turn"
)

// Create makes a template.
func (r *REST) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc,
	options *metav1.CreateOptions) (runtime.Object, error) {
	claim := r.marking.Claim(options.DryRun)
	defer claim.End()
	return r.Store.Create(ctx, obj, r.created(validate, claim), options)
}

// Update changes a template, or makes one where server-side apply asks for it.
func (r *REST) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo,
	createValidation rest.ValidateObjectFunc, updateValidation rest.ValidateObjectUpdateFunc,
	forceAllowCreate bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	claim := r.marking.Claim(options.DryRun)
	defer claim.End()
	updated := func(ctx context.Context, obj, old runtime.Object) error {
		if updateValidation != nil {
			if err := updateValidation(ctx, obj, old); err != nil {
				return err
			}
		}
		return r.mark(ctx, obj, old, claim)
	}
	return r.Store.Update(ctx, name, info, r.created(createValidation, claim), updated, forceAllowCreate, options)
}

func (r *REST) created(validate rest.ValidateObjectFunc, claim *turn.Claim) rest.ValidateObjectFunc {
	return func(ctx context.Context, obj runtime.Object) error {
		if validate != nil {
			if err := validate(ctx, obj); err != nil {
				return err
			}
		}
		return r.mark(ctx, obj, &tenancy.VirtualClusterTemplate{}, claim)
	}
}

// mark looks again whether a template that has just been marked as default is the
// only one. The strategy has looked before, but two may have been marked since.
func (r *REST) mark(ctx context.Context, obj, old runtime.Object, claim *turn.Claim) error {
	marked, ok := obj.(*tenancy.VirtualClusterTemplate)
	before, oldOK := old.(*tenancy.VirtualClusterTemplate)
	if !ok || !oldOK {
		return apierrors.NewBadRequest(fmt.Sprintf("not VirtualClusterTemplates but a %T in place of a %T", obj, old))
	}
	if !marked.Spec.Default || before.Spec.Default {
		return nil
	}
	return claim.Check(ctx, func() error {
		if errs := r.strategy.single(ctx, marked); len(errs) > 0 {
			return apierrors.NewInvalid(tenancy.SchemeGroupVersion.WithKind("VirtualClusterTemplate").GroupKind(), marked.Name, errs)
		}
		return nil
	})
}
