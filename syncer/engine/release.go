// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// releaseInterval is how long after a failure the objects are released again.
const releaseInterval = 5 * time.Second

// Release takes the syncer's finalizer from the virtual objects of a kind that
// holds data and is not synced any more: nobody would delete their host objects,
// and nothing may hold them back. It reads them once, and is done when it is.
func Release[T Object](ctx context.Context, virtual *Store[T]) {
	// The error says that the context ended.
	_ = wait.PollUntilContextCancel(ctx, releaseInterval, true, func(ctx context.Context) (bool, error) {
		objects, err := virtual.read(ctx)
		for _, object := range objects {
			others := slices.DeleteFunc(slices.Clone(object.GetFinalizers()), func(f string) bool { return f == tenancyv1.FinalizerData })
			if err == nil && len(others) < len(object.GetFinalizers()) {
				err = setFinalizers(ctx, virtual, object, others)
			}
		}
		if err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "Cannot release what is not synced any more", "kind", virtual.resource.Resource)
		}
		return err == nil, nil
	})
}
