// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	"garret.dev/garret/apis/tenancy"
)

// causeProtected is the cause of a refusal to delete.
const causeProtected metav1.CauseType = "DeletionProtection"

// Delete deletes a virtual cluster that is not protected. The store asks in the moment of the
// deletion, so that a protection that comes just before it holds.
func (r *REST) Delete(ctx context.Context, name string, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions) (runtime.Object, bool, error) {
	return r.Store.Delete(ctx, name, r.unprotected(validate), options)
}

// DeleteCollection deletes virtual clusters, but not those that are protected.
func (r *REST) DeleteCollection(ctx context.Context, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions, list *metainternalversion.ListOptions) (runtime.Object, error) {
	return r.Store.DeleteCollection(ctx, r.unprotected(validate), options, list)
}

// unprotected is a validation that refuses to delete a protected virtual cluster. Its namespace
// goes before it: the host deletes the volumes and pods there at the same time, and a virtual
// cluster without them would only keep the namespace from ending.
func (r *REST) unprotected(validate rest.ValidateObjectFunc) rest.ValidateObjectFunc {
	return func(ctx context.Context, obj runtime.Object) error {
		vc, ok := obj.(*tenancy.VirtualCluster)
		if !ok {
			return apierrors.NewInternalError(fmt.Errorf("not a VirtualCluster but a %T", obj))
		}
		if vc.Spec.DeletionProtection && vc.DeletionTimestamp == nil && !r.namespaceEnds(vc.Namespace) {
			return protected(vc)
		}
		if validate == nil {
			return nil
		}
		return validate(ctx, obj)
	}
}

func protected(vc *tenancy.VirtualCluster) error {
	path := specPath.Child("deletionProtection").String()
	message := fmt.Sprintf("it is protected from deletion: lift that first, with: kubectl patch vc %s -n %s --type=merge -p '{\"spec\":{\"deletionProtection\":false}}'", vc.Name, vc.Namespace)
	refused := apierrors.NewForbidden(tenancy.Resource("virtualclusters"), vc.Name, fmt.Errorf("%s: %s", path, message))
	refused.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: causeProtected, Field: path, Message: message}}
	return refused
}

// namespaceEnds says whether the host deletes the namespace. One that the cache lacks may be
// younger than it, which is no evidence.
func (r *REST) namespaceEnds(name string) bool {
	if r.namespaces == nil {
		return false
	}
	namespace, err := r.namespaces.Get(name)
	return err == nil && namespace.DeletionTimestamp != nil
}
