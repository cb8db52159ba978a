// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// Object is any Kubernetes object.
type Object interface {
	metav1.Object
	runtime.Object
}

// Client writes objects of one kind in one namespace. The typed clients of
// client-go are such clients; L is their list.
type Client[T Object, L runtime.Object] interface {
	Writer[T]
	List(ctx context.Context, options metav1.ListOptions) (L, error)
	Watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error)
}

// Writer is the part of a Client that does not depend on the type of the list.
type Writer[T Object] interface {
	Create(ctx context.Context, object T, options metav1.CreateOptions) (T, error)
	Update(ctx context.Context, object T, options metav1.UpdateOptions) (T, error)
	Delete(ctx context.Context, name string, options metav1.DeleteOptions) error
	Get(ctx context.Context, name string, options metav1.GetOptions) (T, error)
	Patch(ctx context.Context, name string, kind types.PatchType, data []byte, options metav1.PatchOptions, subresources ...string) (T, error)
}

// Store is one side of a kind: a cache of its objects, and the way to write them.
type Store[T Object] struct {
	informer cache.SharedIndexInformer
	writer   func(namespace string) Writer[T]
	partial  bool
}

// StoreOptions narrow what a Store caches.
type StoreOptions struct {
	// Namespace is the only one that is watched; empty means all.
	Namespace string
	// LabelSelector and FieldSelector narrow the watch.
	LabelSelector, FieldSelector string
	// Indexers find objects by other things than their name.
	Indexers cache.Indexers
	// Strip removes from a cached object what nobody reads from the cache. An
	// object of such a store is read anew before it is translated.
	Strip func(object any)
}

// NewStore returns a store over the clients, one for each namespace. It watches once its informer is run.
// The example is an empty object of the kind; client is asked whether it can stream lists.
func NewStore[T Object, L runtime.Object, C Client[T, L]](client any, clients func(namespace string) C, example T, options StoreOptions) *Store[T] {
	source := clients(options.Namespace)
	narrow := func(list metav1.ListOptions) metav1.ListOptions {
		list.LabelSelector, list.FieldSelector = options.LabelSelector, options.FieldSelector
		return list
	}
	watcher := cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, list metav1.ListOptions) (runtime.Object, error) {
			return source.List(ctx, narrow(list))
		},
		WatchFuncWithContext: func(ctx context.Context, list metav1.ListOptions) (watch.Interface, error) {
			return source.Watch(ctx, narrow(list))
		},
	}, client)
	informer := cache.NewSharedIndexInformerWithOptions(watcher, example, cache.SharedIndexInformerOptions{Indexers: options.Indexers})
	// The informer is new and has not been started: setting its transform cannot fail.
	_ = informer.SetTransform(func(object any) (any, error) {
		if accessor, ok := object.(metav1.Object); ok {
			accessor.SetManagedFields(nil)
		}
		if options.Strip != nil {
			options.Strip(object)
		}
		return object, nil
	})
	return &Store[T]{
		informer: informer,
		writer:   func(namespace string) Writer[T] { return clients(namespace) },
		partial:  options.Strip != nil,
	}
}

// Informer is what feeds the store.
func (s *Store[T]) Informer() cache.SharedIndexInformer { return s.informer }

// Indexer gives a lister what it needs.
func (s *Store[T]) Indexer() cache.Indexer { return s.informer.GetIndexer() }

// Writer writes to one namespace; to none for a kind of cluster scope.
func (s *Store[T]) Writer(namespace string) Writer[T] { return s.writer(namespace) }

// Get returns the cached object, which must not be changed.
func (s *Store[T]) Get(namespace, name string) (T, bool) {
	key := name
	if namespace != "" {
		key = namespace + "/" + name
	}
	// The error belongs to stores that are not kept in memory.
	object, found, _ := s.informer.GetIndexer().GetByKey(key)
	if !found {
		var none T
		return none, false
	}
	return object.(T), true
}

// ByIndex returns the cached objects that the index has under the value.
func (s *Store[T]) ByIndex(index, value string) []T {
	// The error tells that there is no such index, which a test of any use of it would show.
	objects, err := s.informer.GetIndexer().ByIndex(index, value)
	if err != nil {
		panic(err)
	}
	out := make([]T, 0, len(objects))
	for _, object := range objects {
		out = append(out, object.(T))
	}
	return out
}

// List returns all cached objects.
func (s *Store[T]) List() []T {
	objects := s.informer.GetIndexer().List()
	out := make([]T, 0, len(objects))
	for _, object := range objects {
		out = append(out, object.(T))
	}
	return out
}
