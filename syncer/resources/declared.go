// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"garret.dev/garret/syncer/engine"
)

// declared is a kind that has the same object on both sides, as a few small
// functions. All may be left out; a kind that is as plain as can be has apply alone.
// None but status, missing and adopt writes anything.
type declared[T engine.Object] struct {
	// wanted says whether the virtual object is to have a twin; without it, each is.
	wanted func(virtual T) bool
	// unwanted says why others have none.
	unwanted string
	// create fills in what a host object is given once. Apply follows.
	create func(virtual, host T) error
	// apply brings the rest up to date. Name, labels and annotations have been seen to.
	apply func(virtual, host T) error
	// yield takes back of wanted what the host refused and can do without, and says
	// whether it is worth another try. Current is nil where there is no host object.
	yield func(wanted, current T, refusal error) bool
	// outdated says that the host object may not stay as it is: it is deleted, and made again
	// where it still may be.
	outdated func(virtual, host T) bool
	// references are the names that the virtual object has of others in its namespace.
	references func(virtual T) []string
	// status brings inside what the host reports.
	status func(ctx context.Context, virtual, host T) error
	// missing is called before a host object is made; it says that none is to be.
	missing func(ctx context.Context, virtual T) (bool, error)
	// keepsData says that host objects hold data, and go only with their virtual ones.
	keepsData bool
	// adopt creates the virtual object of a host object that holds data, or finds one
	// that waits for them, and returns its UID.
	adopt func(ctx context.Context, host T) (types.UID, error)
	// follows are other kinds whose changes concern objects of this one.
	follows []follow
}

// follow names the objects that a change of another one concerns.
type follow struct {
	informer cache.SharedIndexInformer
	keys     func(object any) []types.NamespacedName
}

// declare adds the controller of the kind.
func declare[T engine.Object](b *builder, virtual, host *engine.Store[T], kind declared[T]) *engine.Controller {
	if (kind.wanted == nil) != (kind.unwanted == "") {
		b.fail(fmt.Errorf("%s: wanted and unwanted go together: unwanted answers why an object has no twin", host.Resource().Resource))
	}
	controller := twin(b, otherWorkers, &declaredKind[T]{b.marker(), host.Resource().Resource, kind}, virtual, host)
	for _, each := range kind.follows {
		b.watch(controller, each.informer, each.keys)
	}
	return controller
}

// sidesOf makes the stores of a kind that no other kind looks at. Group and client
// lead from a client of everything to those of the kind.
func sidesOf[G any, C engine.Client[T, L], T engine.Object, L runtime.Object](b *builder, resource schema.GroupVersionResource,
	group func(kubernetes.Interface) G, client func(group G, namespace string) C) (virtual, host *engine.Store[T]) {
	side := func(informers *engine.Informers, all kubernetes.Interface, options engine.StoreOptions) *engine.Store[T] {
		return engine.NewStore(informers, resource, func(namespace string) C { return client(group(all), namespace) }, options)
	}
	return side(b.Virtual.Informers, b.Virtual.Client, engine.StoreOptions{}), side(b.Host.Informers, b.Host.Client, marked(b.Translator.Cluster()))
}

// declaredKind is what the engine sees of it.
type declaredKind[T engine.Object] struct {
	marker   Marker
	resource string
	declared declared[T]
}

// Wanted is true unless the kind has something to say.
func (k *declaredKind[T]) Wanted(_ context.Context, virtual T) (bool, error) {
	return k.declared.wanted == nil || k.declared.wanted(virtual), nil
}

// Declines says why the host must have no object.
func (k *declaredKind[T]) Declines(T) string { return k.declared.unwanted }

// ToHost marks the host object and has the kind fill it in.
func (k *declaredKind[T]) ToHost(_ context.Context, virtual, host T) error {
	k.marker.mark(k.resource, virtual, host, nil)
	if k.declared.create != nil && host.GetUID() == "" {
		if err := k.declared.create(virtual, host); err != nil {
			return err
		}
	}
	if k.declared.apply == nil {
		return nil
	}
	return k.declared.apply(virtual, host)
}

// Yield gives up what the host refused.
func (k *declaredKind[T]) Yield(wanted, current T, refusal error) bool {
	return k.declared.yield != nil && k.declared.yield(wanted, current, refusal)
}

// Outdated is as declared.
func (k *declaredKind[T]) Outdated(virtual, host T) bool {
	return k.declared.outdated != nil && k.declared.outdated(virtual, host)
}

// References are the names that the host's messages may contain instead of others.
func (k *declaredKind[T]) References(virtual T) []string {
	if k.declared.references == nil {
		return nil
	}
	return k.declared.references(virtual)
}

// FromHost reports the status.
func (k *declaredKind[T]) FromHost(ctx context.Context, virtual, host T, _ bool) error {
	if k.declared.status == nil {
		return nil
	}
	return k.declared.status(ctx, virtual, host)
}

// HostMissing asks the kind whether the missing host object is gone for good.
func (k *declaredKind[T]) HostMissing(ctx context.Context, virtual T) (bool, error) {
	if k.declared.missing == nil {
		return false, nil
	}
	return k.declared.missing(ctx, virtual)
}

// Adopt is as declared.
func (k *declaredKind[T]) Adopt(ctx context.Context, host T) (types.UID, error) {
	if k.declared.adopt == nil {
		return "", errors.New("the kind cannot be adopted")
	}
	return k.declared.adopt(ctx, host)
}

// KeepsData is as declared.
func (k *declaredKind[T]) KeepsData() bool { return k.declared.keepsData }
