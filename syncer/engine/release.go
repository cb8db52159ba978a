// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// releaseInterval is how long after a failure another try is made.
const releaseInterval = 5 * time.Second

// Release removes the syncer's finalizer from the virtual objects of a kind that holds data and
// is no longer synced. Nobody would delete their host objects, so the finalizer would keep them
// for ever. It reads the objects once, and returns when all are released.
func Release[T Object](ctx context.Context, virtual *Store[T]) {
	forEach(ctx, virtual, "Cannot release objects that are not synced any more", func(object T) error {
		others := slices.DeleteFunc(slices.Clone(object.GetFinalizers()), func(f string) bool { return f == tenancyv1.FinalizerData })
		if len(others) == len(object.GetFinalizers()) {
			return nil
		}
		return setFinalizers(ctx, virtual, object, others)
	})
}

// Clear deletes the objects of the store that match, such as those inside that are no longer shown.
// It reads them once, and returns when they are deleted.
func Clear[T Object](ctx context.Context, virtual *Store[T], matches func(T) bool) {
	forEach(ctx, virtual, "Cannot delete objects that are not shown any more", func(object T) error {
		if !matches(object) {
			return nil
		}
		uid := object.GetUID()
		err := virtual.Writer(object.GetNamespace()).Delete(ctx, object.GetName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
}

// forEach does something to each object of the store, until it succeeds for all of them.
func forEach[T Object](ctx context.Context, virtual *Store[T], failure string, do func(T) error) {
	// The error says that the context ended.
	_ = wait.PollUntilContextCancel(ctx, releaseInterval, true, func(ctx context.Context) (bool, error) {
		objects, err := virtual.read(ctx)
		if apierrors.IsNotFound(err) {
			return true, nil // the kind is not served any more
		}
		for _, object := range objects {
			if err == nil {
				err = do(object)
			}
		}
		if err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, failure, "kind", virtual.resource.Resource)
		}
		return err == nil, nil
	})
}
