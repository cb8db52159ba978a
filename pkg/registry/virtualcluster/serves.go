// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// Serves tells whether the host serves a kind in a version.
type Serves func(ctx context.Context, at schema.GroupVersionResource) (bool, error)

// suit refuses a write that switches a kind of Kubernetes on that the host is without: its syncer would
// wait for it without end. A host that loses a kind later is no reason to refuse a write about something else.
// Errors are API errors.
func (s Serves) suit(ctx context.Context, vc *tenancy.VirtualCluster, old *tenancy.VirtualClusterSpec) error {
	external := &v1.SyncerSpec{}
	if err := v1.Convert_tenancy_SyncerSpec_To_v1_SyncerSpec(&vc.Spec.Syncer, external, nil); err != nil {
		return nil // validation says what is wrong with it
	}
	before := &v1.SyncerSpec{}
	if err := v1.Convert_tenancy_SyncerSpec_To_v1_SyncerSpec(&old.Syncer, before, nil); err != nil {
		before = &v1.SyncerSpec{}
	}
	known, asked := before.AskedKinds(), external.AskedKinds()
	missing, err := external.Unserved(func(at schema.GroupVersionResource) (bool, error) {
		if slices.Contains(known, at.Resource) || !slices.Contains(asked, at.Resource) {
			return true, nil
		}
		return s(ctx, at)
	})
	if err != nil {
		return apierrors.NewInternalError(fmt.Errorf("kinds of the host: %w", err))
	}
	var errs field.ErrorList
	for i := range missing {
		errs = append(errs, field.Forbidden(specPath.Child("syncer").Child(missing[i].Field).Child("enabled"), missing[i].Message()))
	}
	if len(errs) == 0 {
		return nil
	}
	return apierrors.NewInvalid(v1.SchemeGroupVersion.WithKind("VirtualCluster").GroupKind(), nameOf(vc), errs)
}
