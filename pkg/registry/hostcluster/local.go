// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package hostcluster

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"

	v1 "garret.dev/garret/apis/tenancy/v1"
	tenancyv1 "garret.dev/garret/generated/clientset/versioned/typed/tenancy/v1"
)

const (
	// lookAgain is how often local is looked for without a cause: another replica may have deleted it.
	lookAgain  = 30 * time.Second
	retryFirst = 250 * time.Millisecond
	retryLast  = 15 * time.Second
)

// afterDelete wakes the keeper of local.
func (s *Storage) afterDelete(runtime.Object, *metav1.DeleteOptions) {
	select {
	case s.deleted <- struct{}{}:
	default: // It is awake.
	}
}

// KeepLocal makes the HostCluster local where it is missing, until ctx ends. The
// client is one of this server itself, so that admission has its say here, too.
func (s *Storage) KeepLocal(ctx context.Context, hosts tenancyv1.HostClusterInterface) {
	logger := klog.FromContext(ctx)
	for ctx.Err() == nil {
		backoff := wait.Backoff{Duration: retryFirst, Factor: 2, Steps: 8, Cap: retryLast}
		for {
			made, err := ensureLocal(ctx, hosts)
			if err == nil {
				if made {
					logger.Info("Made the host cluster", "hostCluster", v1.LocalHostCluster)
				}
				break
			}
			if ctx.Err() != nil {
				return
			}
			logger.Error(err, "The host cluster is not there yet, trying again", "hostCluster", v1.LocalHostCluster)
			pause(ctx, nil, backoff.Step())
		}
		pause(ctx, s.deleted, lookAgain)
	}
}

// pause waits for a while, or until it is woken or ctx ends.
func pause(ctx context.Context, wake <-chan struct{}, while time.Duration) {
	timer := time.NewTimer(while)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-timer.C:
	}
}

func ensureLocal(ctx context.Context, hosts tenancyv1.HostClusterInterface) (made bool, err error) {
	_, err = hosts.Get(ctx, v1.LocalHostCluster, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		return false, err
	}
	local := &v1.HostCluster{ObjectMeta: metav1.ObjectMeta{Name: v1.LocalHostCluster}}
	if _, err = hosts.Create(ctx, local, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return false, fmt.Errorf("make the host cluster %s: %w", v1.LocalHostCluster, err)
	}
	return err == nil, nil
}
