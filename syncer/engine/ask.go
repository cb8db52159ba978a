// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/cache"

	"garret.dev/garret/syncer/quota"
)

// reasonQuota is the reason of Events about what does not fit into the quota of the
// virtual cluster.
const reasonQuota = "QuotaExceeded"

// Guard has all writes of the store pass the breaker, and be charged in the ledger,
// which may be nil. It must come before the store is written to.
func (s *Store[T]) Guard(breaker *Breaker, ledger *quota.Ledger) error {
	s.breaker = breaker
	takes := func(object any) corev1.ResourceList { return s.takes(object, breaker.clock.Now()) }
	var synced atomic.Pointer[cache.DoneChecker]
	saw, gone := func(any) {}, func(any) {}
	if ledger != nil {
		s.book = ledger.Book(s.resource.GroupResource(), func() bool {
			checker := synced.Load()
			return checker != nil && cache.IsDone(*checker)
		})
		saw = func(object any) { s.book.Saw(object.(metav1.Object)) }
		gone = func(object any) { s.book.Gone(object.(metav1.Object)) }
		ledger.OnSet(breaker.Widened)
	}
	registration, err := s.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: saw,
		UpdateFunc: func(before, after any) {
			saw(after)
			if len(quota.More(takes(before), takes(after))) > 0 {
				breaker.Freed()
			}
		},
		DeleteFunc: deleted(func(object any) {
			gone(object)
			breaker.Freed()
		}),
	})
	if err != nil {
		return err
	}
	checker := registration.HasSyncedChecker()
	synced.Store(&checker)
	return nil
}

// Guarded tells whether writes of the store pass a breaker.
func (s *Store[T]) Guarded() bool { return s.breaker != nil }

func (s *Store[T]) takes(object any, now time.Time) corev1.ResourceList {
	return quota.Usage(s.resource.GroupResource(), object, now)
}

// Ask writes to the host what the Writer cannot, such as a subresource, unless the host has
// refused the same write. Part names the part of the object; current is nil for a creation.
func (s *Store[T]) Ask(part string, current, wanted T, do func() (T, error)) (T, error) {
	if s.breaker == nil {
		return do()
	}
	w := &write{name: wanted.GetName(), class: quota.Class(wanted), digest: func() string { return digestOf(wanted) }}
	if part != "" {
		w.name += "/" + part
	}
	now := s.breaker.clock.Now()
	w.takes = s.takes(wanted, now)
	if any(current) != any(*new(T)) {
		w.takes = quota.More(w.takes, s.takes(current, now))
	}
	var none T
	if err := s.breaker.enter(w); err != nil {
		return none, s.afresh(err, wanted)
	}
	settle, err := s.Charge(wanted)
	if err != nil {
		return none, s.breaker.exit(w, err)
	}
	written, err := do()
	settle(written, err)
	return written, s.breaker.exit(w, err)
}

// Charge charges what the wanted object takes to the quota of the virtual cluster,
// before it is written by other means than Ask. Settle has to be called with what came
// of it.
func (s *Store[T]) Charge(wanted T) (settle func(written T, err error), err error) {
	if s.book == nil {
		return func(T, error) {}, nil
	}
	charged, err := s.book.Charge(wanted)
	if err != nil {
		return nil, refusedByQuota(err)
	}
	return func(written T, err error) {
		if err != nil || any(written) == any(*new(T)) {
			charged(nil)
			return
		}
		charged(written)
	}, nil
}

// ChargeSoon is Charge for somebody who cannot try again. It waits for a while until the
// quota is known, after the syncer's start.
func (s *Store[T]) ChargeSoon(ctx context.Context, wanted T) (settle func(written T, err error), err error) {
	_ = wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, chargePatience, true, func(context.Context) (bool, error) {
		settle, err = s.Charge(wanted)
		return !passes(err), nil
	})
	return settle, err
}

// chargePatience is less than an API server waits for a webhook.
const chargePatience = 5 * time.Second

func refusedByQuota(err error) error {
	var unstated *quota.UnstatedError
	var exceeded *quota.ExceededError
	if errors.As(err, &unstated) || errors.As(err, &exceeded) {
		return Refuse(reasonQuota, err.Error())
	}
	return Again(err.Error())
}

// afresh has the syncer tell what waits for the quota of the virtual cluster how much it
// lacks itself, and by now.
func (s *Store[T]) afresh(err error, wanted T) error {
	var held *heldError
	var own *refusedError
	if s.book == nil || !errors.As(err, &held) || !errors.As(err, &own) {
		return err
	}
	if short := s.book.Check(wanted); short != nil {
		held.error = refusedByQuota(short)
	}
	return held
}

// digestOf is one of all that a write asks for.
func digestOf(object Object) string {
	content, err := contentOf(object)
	if err != nil {
		// Whatever it is, it is not what was asked before.
		return ""
	}
	return Hash([]any{object.GetLabels(), object.GetAnnotations(), object.GetOwnerReferences(), object.GetFinalizers(), content})
}

// askingWriter is the Writer of a store whose writes pass a breaker.
type askingWriter[T Object] struct {
	Writer[T]
	store *Store[T]
}

// Create creates the object unless the host has refused it.
func (w askingWriter[T]) Create(ctx context.Context, object T, options metav1.CreateOptions) (T, error) {
	var none T
	return w.store.Ask("", none, object, func() (T, error) {
		created, err := w.Writer.Create(ctx, object, options)
		if !apierrors.IsInvalid(err) {
			return created, err
		}
		// The API server looks at what an object asks for before its name: of a Service that is
		// there already, it says first that the address is taken. That is no refusal to hold back.
		_, missing := w.Writer.Get(ctx, object.GetName(), metav1.GetOptions{})
		switch {
		case missing == nil:
			return none, apierrors.NewAlreadyExists(w.store.resource.GroupResource(), object.GetName())
		case !apierrors.IsNotFound(missing):
			return none, fmt.Errorf("look whether it is there: %w", missing)
		}
		return created, err
	})
}

// Update updates the object unless the host has refused it.
func (w askingWriter[T]) Update(ctx context.Context, object T, options metav1.UpdateOptions) (T, error) {
	current, _ := w.store.Get(object.GetNamespace(), object.GetName())
	return w.store.Ask("", current, object, func() (T, error) { return w.Writer.Update(ctx, object, options) })
}

// Patch patches the object unless the host has refused the same.
func (w askingWriter[T]) Patch(ctx context.Context, name string, kind types.PatchType, data []byte, options metav1.PatchOptions, subresources ...string) (patched T, err error) {
	err = w.store.breaker.pass(name+"/patch", Hash(data), func() error {
		patched, err = w.Writer.Patch(ctx, name, kind, data, options, subresources...)
		return err
	})
	return patched, err
}

// Delete deletes the object unless the host has refused that.
func (w askingWriter[T]) Delete(ctx context.Context, name string, options metav1.DeleteOptions) error {
	return w.store.breaker.pass(name+"/delete", Hash(options), func() error { return w.Writer.Delete(ctx, name, options) })
}

// pass makes a write that takes nothing of a quota.
func (t *Breaker) pass(name, digest string, do func() error) error {
	w := &write{name: name, digest: func() string { return digest }}
	if err := t.enter(w); err != nil {
		return err
	}
	return t.exit(w, do())
}
