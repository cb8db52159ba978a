// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"garret.dev/garret/syncer/quota"
)

// Guard has all writes of the store pass the turnstile. It must come before the
// store is written to.
func (s *Store[T]) Guard(turnstile *Turnstile) error {
	s.turnstile = turnstile
	takes := func(object any) corev1.ResourceList { return s.takes(object, turnstile.clock.Now()) }
	_, err := s.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(before, after any) {
			if len(quota.More(takes(before), takes(after))) > 0 {
				turnstile.Freed()
			}
		},
		DeleteFunc: func(any) { turnstile.Freed() },
	})
	return err
}

// Guarded tells whether writes of the store pass a turnstile.
func (s *Store[T]) Guarded() bool { return s.turnstile != nil }

func (s *Store[T]) takes(object any, now time.Time) corev1.ResourceList {
	return quota.Usage(s.resource.GroupResource(), object, now)
}

// Ask makes a write to the host that is none of the Writer's, such as one to a
// subresource, unless the host has refused it. Part names what of the object is
// written; current is nil where the object is created.
func (s *Store[T]) Ask(part string, current, wanted T, do func() (T, error)) (T, error) {
	if s.turnstile == nil {
		return do()
	}
	w := &write{name: wanted.GetName(), class: quota.Class(wanted), digest: func() string { return digestOf(wanted) }}
	if part != "" {
		w.name += "/" + part
	}
	now := s.turnstile.clock.Now()
	w.takes = s.takes(wanted, now)
	if any(current) != any(*new(T)) {
		w.takes = quota.More(w.takes, s.takes(current, now))
	}
	if err := s.turnstile.enter(w); err != nil {
		var none T
		return none, err
	}
	written, err := do()
	return written, s.turnstile.exit(w, err)
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

// askingWriter is the Writer of a store whose writes pass a turnstile.
type askingWriter[T Object] struct {
	Writer[T]
	store *Store[T]
}

// Create creates the object unless the host has refused it.
func (w askingWriter[T]) Create(ctx context.Context, object T, options metav1.CreateOptions) (T, error) {
	var none T
	return w.store.Ask("", none, object, func() (T, error) { return w.Writer.Create(ctx, object, options) })
}

// Update updates the object unless the host has refused it.
func (w askingWriter[T]) Update(ctx context.Context, object T, options metav1.UpdateOptions) (T, error) {
	current, _ := w.store.Get(object.GetNamespace(), object.GetName())
	return w.store.Ask("", current, object, func() (T, error) { return w.Writer.Update(ctx, object, options) })
}
