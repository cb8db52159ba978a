// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

// namespaceAgain is when a namespace that is not there is looked for the next time.
const namespaceAgain = 5 * time.Second

// mirror is a kind that the host drives: an object inside is made from what the host
// has, kept up to date, and removed when that is gone.
type mirror[T engine.Object] struct {
	// name may be left out. It is the controller's, where the kind has another one besides.
	name    string
	virtual *engine.Store[T]
	// fate decides what becomes of the object of the key, which is nil where there is none.
	fate func(key types.NamespacedName, object T, found bool) (fate, error)
	// apply makes an object what it should be but for its status, and does only what
	// may change to one with a UID. Status does the same for the status.
	apply, status func(object T)
	// onHost may be left out. It finds the object of the same kind that one is made from.
	onHost func(name string) (engine.Object, bool)
	// source may be left out. It names what on the host an object is made from, where
	// that has another name.
	source func(object T) string
	// retire may be left out. It readies an object to be deleted, and says whether it is.
	retire func(ctx context.Context, object T) (bool, error)
}

// byName is the fate of a kind whose objects are in no namespace.
func byName[T engine.Object](decide func(name string, object T, found bool) (fate, error)) func(types.NamespacedName, T, bool) (fate, error) {
	return func(key types.NamespacedName, object T, found bool) (fate, error) {
		return decide(key.Name, object, found)
	}
}

// fate is what becomes of an object inside.
type fate struct {
	// shown says that it is to be there and up to date; kept, that it is left as it
	// is. Otherwise it is deleted.
	shown, kept bool
	// again is when to look at it next.
	again time.Duration
}

// statusWriter writes the status of objects that have one.
type statusWriter[T engine.Object] interface {
	UpdateStatus(ctx context.Context, object T, options metav1.UpdateOptions) (T, error)
}

// mirrored adds the controller of the kind.
func mirrored[T engine.Object](b *builder, m *mirror[T]) *engine.Controller {
	controller := b.controller(cmp.Or(m.name, m.virtual.Resource().Resource), 1, m)
	if m.name == "" {
		resource := m.virtual.Resource().GroupResource()
		row, _ := tenancyv1.CataloguedKind(resource.Resource)
		b.engine.AddLooker(engine.LookedAt{Name: resource.Resource, Resource: resource, Namespaced: row.Namespaced}, m)
	}
	b.watch(controller, m.virtual.Informer(), engine.SameKey)
	return controller
}

// Reconcile looks at one object inside.
func (m *mirror[T]) Reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	object, found := m.virtual.Get(key.Namespace, key.Name)
	fate, err := m.fate(key, object, found)
	switch {
	case err != nil:
	case fate.shown && found:
		err = m.update(ctx, object)
	case fate.shown:
		if err = m.create(ctx, key); apierrors.IsNotFound(err) && key.Namespace != "" {
			return namespaceAgain, nil
		}
	case !fate.kept && found:
		err = m.remove(ctx, object)
	}
	if err != nil {
		return 0, fmt.Errorf("%s %s inside: %w", m.virtual.Resource().Resource, klog.KRef(key.Namespace, key.Name), err)
	}
	return fate.again, nil
}

func (m *mirror[T]) create(ctx context.Context, key types.NamespacedName) error {
	object := m.virtual.New()
	object.SetNamespace(key.Namespace)
	object.SetName(key.Name)
	m.apply(object)
	created, err := m.virtual.Writer(key.Namespace).Create(ctx, object, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		// It is on its way to the cache.
		return nil
	}
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	klog.FromContext(ctx).V(2).Info("Created inside", "kind", m.virtual.Resource().Resource, "object", klog.KRef(key.Namespace, key.Name))
	return m.update(ctx, created)
}

func (m *mirror[T]) update(ctx context.Context, object T) error {
	object, err := m.virtual.Whole(ctx, object)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	writer := m.virtual.Writer(object.GetNamespace())
	wanted := object.DeepCopyObject().(T)
	m.apply(wanted)
	if !equality.Semantic.DeepEqual(wanted, object) {
		updated, err := writer.Update(ctx, wanted, metav1.UpdateOptions{})
		if err != nil {
			return fmt.Errorf("update: %w", err)
		}
		object = updated
	}
	statuses, ok := writer.(statusWriter[T])
	if m.status == nil || !ok {
		return nil
	}
	wanted = object.DeepCopyObject().(T)
	m.status(wanted)
	if equality.Semantic.DeepEqual(wanted, object) {
		return nil
	}
	if _, err := statuses.UpdateStatus(ctx, wanted, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("update the status: %w", err)
	}
	return nil
}

// remove deletes that one life of the object.
func (m *mirror[T]) remove(ctx context.Context, object T) error {
	if m.retire != nil {
		if ready, err := m.retire(ctx, object); err != nil || !ready {
			return err
		}
	}
	uid := object.GetUID()
	err := m.virtual.Writer(object.GetNamespace()).Delete(ctx, object.GetName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete: %w", err)
	}
	klog.FromContext(ctx).V(2).Info("Deleted inside", "kind", m.virtual.Resource().Resource, "object", klog.KObj(object))
	return nil
}
