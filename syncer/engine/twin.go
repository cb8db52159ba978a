// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"garret.dev/garret/syncer/translate"
)

// adoptionTime is how long a host object may stand for a virtual one that does
// not exist yet: the admission webhook makes a Service on the host before the
// one inside is persisted.
const adoptionTime = 30 * time.Second

// Twin is the Reconciler of a kind that has the same object on both sides.
type Twin[T Object] struct {
	resource   schema.GroupVersionResource
	kind       Kind[T]
	virtual    *Store[T]
	host       *Store[T]
	translator *translate.Translator
	recorder   record.EventRecorder
	metrics    *Metrics
	clock      clock.WithTicker
	failing    *patience
	evidence   Evidence
	gate       Gate
	// keeps says that host objects hold data.
	keeps bool
	// kept knows the host objects that have lost their virtual ones; orphans reports them.
	orphans func(resource string, names []string)
	kept    orphanage
}

// TwinOptions are what a Twin is made of.
type TwinOptions[T Object] struct {
	Kind Kind[T]
	// Virtual and Host are the two sides.
	Virtual, Host *Store[T]
	Translator    *translate.Translator
	// Recorder tells Events on virtual objects.
	Recorder record.EventRecorder
	Metrics  *Metrics
	Clock    clock.WithTicker
	Evidence Evidence
	// Orphans is called after every change with all objects of a kind that are missing
	// inside while the host holds their data, as namespace/name.
	Orphans func(resource string, names []string)
	// Gate keeps passes from beginning; nil for none.
	Gate Gate
}

// Gate lets passes over objects begin, or not. Who closes it has all of them made again.
type Gate interface {
	// Enter says whether the pass may begin. If so, leave has to be called at its end.
	Enter() (leave func(), open bool)
}

// Evidence tells whether what is missing inside was deleted.
type Evidence interface {
	// Confirm returns nil when the data inside are still those that host objects
	// stand for. It has to be called after an object was found missing.
	Confirm(ctx context.Context) error
	// Carried notes that something was created on the host.
	Carried()
}

// NewTwin returns the reconciler of the kind.
func NewTwin[T Object](o TwinOptions[T]) *Twin[T] {
	keeper, ok := o.Kind.(Keeper)
	keeps := ok && keeper.KeepsData()
	return &Twin[T]{o.Virtual.Resource(), o.Kind, o.Virtual, o.Host, o.Translator, o.Recorder, o.Metrics, o.Clock, newPatience(o.Clock), o.Evidence, o.Gate, keeps, o.Orphans, orphanage{names: map[string]bool{}}}
}

// Controller returns a controller of the twin that watches both sides.
func (t *Twin[T]) Controller(workers int) (*Controller, error) {
	controller := NewController(ControllerOptions{Name: t.resource.Resource, Workers: workers, Reconciler: t, Metrics: t.metrics, Clock: t.clock})
	if err := controller.Watch(t.virtual.Informer(), SameKey); err != nil {
		return nil, err
	}
	return controller, controller.Watch(t.host.Informer(), t.virtualKey)
}

// Since is how old the virtual object of the name is.
func (t *Twin[T]) Since(key types.NamespacedName) time.Time { return t.virtual.Since(key) }

// SameKey names the object itself.
func SameKey(object any) []types.NamespacedName {
	return []types.NamespacedName{KeyOf(object.(metav1.Object))}
}

// KeyOf is the key of the object.
func KeyOf(object metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}
}

// virtualKey names the virtual object that a host object is the twin of.
func (t *Twin[T]) virtualKey(object any) []types.NamespacedName {
	identity, ours := t.translator.IdentityOf(object.(metav1.Object))
	if !ours || identity.Kind != "" {
		return nil
	}
	return []types.NamespacedName{identity.NamespacedName}
}

// Reconcile brings the virtual object of this name and its twin together.
func (t *Twin[T]) Reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	if t.gate != nil {
		leave, open := t.gate.Enter()
		if !open {
			return 0, nil
		}
		defer leave()
	}
	virtual, inside := t.virtual.Get(key.Namespace, key.Name)
	host, hosted := t.host.Get(t.host.Namespace(), t.translator.HostName(key.Namespace, key.Name))
	if hosted && !t.translator.IsOurs(host) {
		// The marker was taken off on its way to the cache: the object is the host's now.
		hosted = false
	}
	if t.keeps {
		t.reportOrphan(key, hosted && t.isMissingInside(host))
	}
	if !inside {
		t.failing.forget(key)
		if !hosted {
			return 0, nil
		}
		if t.keeps {
			return 0, t.markOrphan(ctx, host)
		}
		return t.orphan(ctx, host)
	}
	earlier := hosted && t.isOfAnother(virtual, host)
	if earlier && !t.keeps {
		return 0, t.removeMissing(ctx, host)
	}
	var err error
	if t.keeps {
		err = t.keep(ctx, virtual, host, hosted, earlier)
	} else {
		err = t.reconcile(ctx, virtual, host, hosted)
	}
	if told := t.tell(key, virtual, err); told != "" {
		if teller, ok := t.kind.(Teller[T]); ok {
			err = errors.Join(err, teller.Tell(ctx, virtual, host, told))
		}
	}
	if err != nil {
		return 0, fmt.Errorf("%s %s: %w", t.resource.Resource, key, err)
	}
	return 0, nil
}

// isOfAnother tells whether the host object stands for an earlier life of the name.
// One without UID waits to be adopted, unless it holds data.
func (t *Twin[T]) isOfAnother(virtual, host T) bool {
	identity, _ := t.translator.IdentityOf(host)
	return identity.UID != virtual.GetUID() && (identity.UID != "" || t.keeps)
}

func (t *Twin[T]) reconcile(ctx context.Context, virtual, host T, hosted bool) error {
	ender, ends := t.kind.(Ender[T])
	if ends && virtual.GetDeletionTimestamp() != nil {
		return ender.VirtualEnding(ctx, virtual, host, hosted)
	}
	wanted, err := t.kind.Wanted(ctx, virtual)
	if err != nil {
		return err
	}
	switch {
	case !wanted && !hosted:
		return nil
	case !wanted && t.keeps:
		return nil
	case !wanted:
		return t.removeMissing(ctx, host)
	case hosted && host.GetDeletionTimestamp() != nil:
		if ends {
			return ender.HostEnding(ctx, virtual, host)
		}
		// It is made again when it is gone.
		return nil
	}
	if misser, misses := t.kind.(Misser[T]); misses && !hosted {
		if gone, err := misser.HostMissing(ctx, virtual); gone || err != nil {
			return err
		}
	}
	if virtual, err = t.virtual.Whole(ctx, virtual); err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("read inside: %w", err)
	}
	if !hosted {
		return t.make(ctx, virtual)
	}
	if remaker, ok := t.kind.(Remaker[T]); ok && remaker.Outdated(virtual, host) {
		return t.remake(ctx, host)
	}
	return t.update(ctx, virtual, host)
}

func (t *Twin[T]) make(ctx context.Context, virtual T) error {
	host := t.host.New()
	fill := func(host T) error { return t.kind.ToHost(ctx, virtual, host) }
	if err := fill(host); err != nil {
		return err
	}
	writer := t.host.Writer(host.GetNamespace())
	var none T
	made, err := t.write(host, none, func() (T, error) { return writer.Create(ctx, host, metav1.CreateOptions{}) })
	if apierrors.IsAlreadyExists(err) {
		return t.occupied(ctx, host)
	}
	if err != nil {
		return OnHost("create", err)
	}
	t.evidence.Carried()
	t.metrics.wrote(t.resource.Resource, "create")
	klog.FromContext(ctx).V(2).Info("Created on the host", "virtual", klog.KObj(virtual), "host", klog.KObj(host))
	t.tellDropped(virtual, host, made)
	return KeepAnswer(ctx, writer, host, made, fill)
}

// occupied finds out who has the name that a twin was to get. Its own object,
// not yet in the cache, is waited for; anybody else's is left alone.
func (t *Twin[T]) occupied(ctx context.Context, host T) error {
	found, err := t.host.Writer(host.GetNamespace()).Get(ctx, host.GetName(), metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("read on the host: %w", err)
	}
	if err == nil && !t.translator.IsOurs(found) {
		return Refuse("NameOccupied", fmt.Sprintf("the name %s on the host belongs to an object that was not synced", host.GetName()))
	}
	return Again("the host object is not in the cache yet")
}

// update brings both sides up to date with each other. Neither direction waits
// for the other: a change that the host refuses must not stop the status.
func (t *Twin[T]) update(ctx context.Context, virtual, host T) error {
	var begin func(T)
	var missing error
	if preparer, ok := t.kind.(Preparer[T]); ok {
		begin, missing = preparer.Prepare(ctx, virtual, host)
	}
	latest, err := t.carry(ctx, virtual, host, begin)
	err = errors.Join(missing, err)
	if back, ok := t.kind.(FromHost[T]); ok {
		return errors.Join(err, back.FromHost(ctx, virtual, latest, err == nil))
	}
	return err
}

// carry writes to the host what the virtual object asks for, and has the host object
// begin where there is something to that. It returns the host object as it is then: the
// status of the one before does not know of the change yet, which only generations tell.
func (t *Twin[T]) carry(ctx context.Context, virtual, host T, begin func(T)) (T, error) {
	latest := host
	writer := t.host.Writer(host.GetNamespace())
	fill := func(wanted T) error {
		err := t.kind.ToHost(ctx, virtual, wanted)
		if begin != nil {
			begin(wanted)
		}
		return err
	}
	wrote, err := Carry(ctx, writer, host, fill, func(wanted T) (T, error) {
		written, err := t.write(wanted, host, func() (T, error) {
			if updater, ok := t.kind.(HostUpdater[T]); ok {
				return updater.UpdateOnHost(ctx, host, wanted)
			}
			return writer.Update(ctx, wanted, metav1.UpdateOptions{})
		})
		if err == nil {
			latest = written
		}
		return written, OnHost("update", err)
	})
	if wrote {
		t.metrics.wrote(t.resource.Resource, "update")
		klog.FromContext(ctx).V(2).Info("Updated on the host", "virtual", klog.KObj(virtual), "host", klog.KObj(host))
	}
	if apierrors.IsNotFound(err) {
		return latest, Again("somebody deleted the host object meanwhile")
	}
	return latest, err
}

// write writes the wanted object, and again as long as the kind can do without what the host refuses.
func (t *Twin[T]) write(wanted, current T, try func() (T, error)) (T, error) {
	written, err := try()
	yielder, ok := t.kind.(Yielder[T])
	for ok && err != nil && yielder.Yield(wanted, current, err) {
		written, err = try()
	}
	return written, err
}

// tell makes an Event on the virtual object for each refusal, and for a failure
// of the host that lasts, in the names that the tenant gave. It returns their messages.
func (t *Twin[T]) tell(key types.NamespacedName, virtual T, err error) string {
	told := refusals(err)
	if failed := failures(err); t.failing.lasts(key, len(failed) > 0) {
		told = append(told, failed...)
	}
	var messages []string
	if len(told) == 0 {
		return ""
	}
	readable := t.readableNames(virtual)
	for _, each := range told {
		if !each.byHost {
			t.metrics.refused(t.resource.Resource, each.reason)
		} else {
			each.message = readable.Replace(each.message)
		}
		t.recorder.Event(virtual, corev1.EventTypeWarning, each.reason, each.message)
		messages = append(messages, each.message)
	}
	// What a pod needs is refused in any order, and the same refusals must read the same.
	slices.Sort(messages)
	return strings.Join(slices.Compact(messages), "; ")
}
