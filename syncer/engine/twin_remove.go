// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
)

// remake deletes the host object as it was seen. Its deletion has another one made.
func (t *Twin[T]) remake(ctx context.Context, host T) error {
	uid, version, now := host.GetUID(), host.GetResourceVersion(), int64(0)
	err := t.host.Writer(host.GetNamespace()).Delete(ctx, host.GetName(), metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &version}, GracePeriodSeconds: &now,
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return OnHost("make it again", err)
	}
	t.metrics.wrote(t.resource.Resource, "delete")
	klog.FromContext(ctx).V(2).Info("Deleted on the host, to be created again", "host", klog.KObj(host))
	return nil
}

// orphan removes a host object whose virtual object does not exist, unless it
// is about to.
func (t *Twin[T]) orphan(ctx context.Context, host T) (time.Duration, error) {
	identity, _ := t.translator.IdentityOf(host)
	if wait := adoptionTime - t.clock.Since(host.GetCreationTimestamp().Time); identity.UID == "" && wait > 0 {
		return wait, nil
	}
	return 0, t.removeMissing(ctx, host)
}

// removeMissing deletes a host object because something is missing inside: its
// virtual object, or whoever wanted it. It first makes sure that it was deleted there.
func (t *Twin[T]) removeMissing(ctx context.Context, host T) error {
	if host.GetDeletionTimestamp() == nil {
		if err := t.evidence.Confirm(ctx); err != nil {
			return fmt.Errorf("delete %s %s: %w", t.resource.Resource, klog.KObj(host), err)
		}
	}
	return t.remove(ctx, host)
}

// remove deletes the host object, and only that one life of it.
func (t *Twin[T]) remove(ctx context.Context, host T) error {
	grace := t.gracePeriod(host)
	if host.GetDeletionTimestamp() != nil {
		given := host.GetDeletionGracePeriodSeconds()
		if grace == nil || given == nil || *given <= *grace {
			return nil
		}
		// Somebody lost patience.
	}
	uid := host.GetUID()
	err := t.host.Writer(host.GetNamespace()).Delete(ctx, host.GetName(), metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &uid}, GracePeriodSeconds: grace,
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return OnHost(fmt.Sprintf("delete %s %s", t.resource.Resource, klog.KObj(host)), err)
	}
	t.metrics.wrote(t.resource.Resource, "delete")
	klog.FromContext(ctx).V(2).Info("Deleted on the host", "host", klog.KObj(host))
	return nil
}

// gracePeriod is how long the host object has to end when its virtual one is gone.
func (t *Twin[T]) gracePeriod(host T) *int64 {
	if remover, ok := t.kind.(Remover[T]); ok {
		return remover.GracePeriod(host)
	}
	return nil
}
