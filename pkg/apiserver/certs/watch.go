// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

const (
	// checkInterval is how often all is looked at without a cause: a renewal is
	// due by the clock alone, and an event can be missed.
	checkInterval = 10 * time.Minute
	// retryMin and retryMax bound the time between two tries.
	retryMin, retryMax = time.Second, time.Minute
)

// watchOne sends on the channel whenever the one object may have changed. A
// field selector keeps it within a right that names the object.
func watchOne(ctx context.Context, client rest.Interface, resource, namespace, name string, object runtime.Object) <-chan struct{} {
	changed := make(chan struct{}, 1)
	notify := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	source := cache.NewListWatchFromClient(client, resource, namespace, fields.OneTermEqualSelector("metadata.name", name))
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: source,
		ObjectType:    object,
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { notify() },
			UpdateFunc: func(any, any) { notify() },
			DeleteFunc: func(any) { notify() },
		},
	})
	go informer.RunWithContext(ctx)
	return changed
}

// loop calls sync now, on every change, and after the interval, until ctx ends.
func loop(ctx context.Context, clock clock.WithTicker, interval time.Duration, what string, changes <-chan struct{}, sync func(context.Context) error) {
	logger := klog.FromContext(ctx)
	for retry := retryMin; ctx.Err() == nil; {
		next := interval
		if err := sync(ctx); err != nil && ctx.Err() == nil {
			logger.Error(err, what+" will be tried again", "after", retry)
			next, retry = retry, min(2*retry, retryMax)
		} else {
			retry = retryMin
		}
		timer := clock.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-changes:
		case <-timer.C():
		}
		timer.Stop()
	}
}
