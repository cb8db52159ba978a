// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// How long a replica that died is waited for, against how often the lease is
// written: one request in two seconds is not much for a host.
const (
	leaseDuration = 10 * time.Second
	renewDeadline = 7 * time.Second
	retryPeriod   = 2 * time.Second
)

var errLeaseLost = errors.New("another replica took the lease, or this one could not renew it in time")

// lead runs work while this process holds the lease. At the end the work ends
// first and the lease is given back then, so that the next replica neither waits
// nor meets work that still goes on.
func lead(ctx context.Context, options *Options, host kubernetes.Interface, work func(context.Context) error) error {
	if !options.LeaderElect {
		return work(ctx)
	}
	logger := klog.FromContext(ctx)
	electing, giveBack := context.WithCancel(context.WithoutCancel(ctx))
	defer giveBack()
	var leading atomic.Bool
	// Of one element: nobody waits for it when the lease was lost.
	result := make(chan error, 1)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: options.Clusters.Namespace, Name: tenancyv1.FieldManagerController},
			Client:     host.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: options.Identity},
		},
		LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod,
		Name: tenancyv1.FieldManagerController, ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(held context.Context) {
				leading.Store(true)
				working, stop := context.WithCancel(held)
				defer stop()
				defer context.AfterFunc(ctx, stop)()
				result <- work(working)
				giveBack()
			},
			OnStoppedLeading: func() { logger.Info("Not leading") },
			OnNewLeader:      func(identity string) { logger.Info("Leader", "identity", identity) },
		},
	})
	if err != nil {
		return fmt.Errorf("leader election: %w", err)
	}
	// Work that has begun gives the lease back itself.
	defer context.AfterFunc(ctx, func() {
		if !leading.Load() {
			giveBack()
		}
	})()
	elector.Run(electing)
	if electing.Err() == nil {
		return errLeaseLost
	}
	select {
	case err := <-result:
		return err
	default:
		return nil
	}
}
