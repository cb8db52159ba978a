// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// KubeconfigIssuer gives out credentials; package access has the real one.
type KubeconfigIssuer interface {
	// Create answers request with a copy of it whose status is filled in, or,
	// when dryRun is set, checks everything and issues nothing. Errors are API errors.
	Create(ctx context.Context, host user.Info, cluster *tenancy.VirtualCluster,
		request *tenancy.KubeconfigRequest, dryRun bool) (*tenancy.KubeconfigRequest, error)
}

// KubeconfigREST serves virtualclusters/kubeconfig: create alone, since what
// is issued is stored nowhere.
type KubeconfigREST struct {
	clusters rest.Getter
	issuer   KubeconfigIssuer
}

var (
	_ rest.NamedCreater                   = &KubeconfigREST{}
	_ rest.GroupVersionKindProvider       = &KubeconfigREST{}
	_ rest.SubresourceObjectMetaPreserver = &KubeconfigREST{}
	_ rest.Storage                        = &KubeconfigREST{}
)

// New returns the kind that is sent and answered.
func (*KubeconfigREST) New() runtime.Object { return &tenancy.KubeconfigRequest{} }

// Destroy has nothing to end.
func (*KubeconfigREST) Destroy() {}

// GroupVersionKind differs from that of the resource.
func (*KubeconfigREST) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind {
	return v1.SchemeGroupVersion.WithKind("KubeconfigRequest")
}

// PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate keeps the UID that
// the caller means, so that it can be compared with the cluster's.
func (*KubeconfigREST) PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate() bool { return true }

// Create issues a kubeconfig for the virtual cluster called name.
func (r *KubeconfigREST) Create(ctx context.Context, name string, obj runtime.Object,
	validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	request, ok := obj.(*tenancy.KubeconfigRequest)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not a KubeconfigRequest but a %T", obj))
	}
	host, ok := genericapirequest.UserFrom(ctx)
	if !ok {
		return nil, apierrors.NewInternalError(errors.New("the request has no user"))
	}
	vc, err := cluster(ctx, r.clusters, name, "")
	if err != nil {
		return nil, err
	}
	if validate != nil {
		if err := validate(ctx, request.DeepCopy()); err != nil {
			return nil, err
		}
	}
	dryRun := options != nil && len(options.DryRun) > 0
	answer, err := r.issuer.Create(ctx, host, vc, request, dryRun)
	if err != nil {
		return nil, err
	}
	// Nothing is stored, so nobody owns fields of it.
	answer.ManagedFields = nil
	return answer, nil
}
