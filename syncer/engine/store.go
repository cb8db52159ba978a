// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"garret.dev/garret/syncer/quota"
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

// Informers are those of one cluster that somebody follows. A kind that is
// switched off follows nothing, and costs neither cluster a watch.
type Informers struct {
	client   any
	followed []followed
}

type followed struct {
	resource schema.GroupVersionResource
	informer cache.SharedIndexInformer
}

// NewInformers returns an empty set over one cluster. The client is asked whether
// it can stream lists.
func NewInformers(client any) *Informers { return &Informers{client: client} }

// Followed returns the informers to run.
func (i *Informers) Followed() []cache.SharedIndexInformer {
	informers := make([]cache.SharedIndexInformer, len(i.followed))
	for at, each := range i.followed {
		informers[at] = each.informer
	}
	return informers
}

// Resources names the kinds that are followed.
func (i *Informers) Resources() []schema.GroupVersionResource {
	resources := make([]schema.GroupVersionResource, len(i.followed))
	for at, each := range i.followed {
		resources[at] = each.resource
	}
	return resources
}

// Store is one side of a kind: a cache of its objects, and the way to write them.
// It is filled only if it is followed.
type Store[T Object] struct {
	resource  schema.GroupVersionResource
	namespace string
	informers *Informers
	informer  cache.SharedIndexInformer
	writer    func(namespace string) Writer[T]
	// read asks the API server for all objects.
	read     func(ctx context.Context) ([]T, error)
	partial  bool
	followed bool
	breaker  *Breaker
	book     *quota.Book
}

// StoreOptions narrow what a Store caches.
type StoreOptions struct {
	// Namespace is the only one that is watched; empty means all, or that the kind is in none.
	Namespace string
	// LabelSelector and FieldSelector narrow the watch.
	LabelSelector, FieldSelector string
	// Indexers find objects by other things than their name.
	Indexers cache.Indexers
	// Strip removes from a cached object what nobody reads from the cache. An
	// object of such a store is read again before it is translated.
	Strip func(object any)
}

// Cluster makes the client of a kind of cluster scope one for each namespace.
func Cluster[C any](client func() C) func(namespace string) C {
	return func(string) C { return client() }
}

// NewStore returns a store over the clients, one for each namespace, of one of the
// clusters. T and L follow from the client.
func NewStore[C Client[T, L], T Object, L runtime.Object](informers *Informers, resource schema.GroupVersionResource,
	clients func(namespace string) C, options StoreOptions) *Store[T] {
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
	}, informers.client)
	s := &Store[T]{
		resource: resource, namespace: options.Namespace, informers: informers,
		writer:  func(namespace string) Writer[T] { return clients(namespace) },
		partial: options.Strip != nil,
		read: func(ctx context.Context) ([]T, error) {
			list, err := source.List(ctx, narrow(metav1.ListOptions{}))
			if err != nil {
				return nil, err
			}
			var objects []T
			err = meta.EachListItem(list, func(object runtime.Object) error {
				objects = append(objects, object.(T))
				return nil
			})
			return objects, err
		},
	}
	s.informer = cache.NewSharedIndexInformerWithOptions(watcher, s.New(), cache.SharedIndexInformerOptions{Indexers: options.Indexers})
	// The informer is new and has not been started: setting its transform cannot fail.
	_ = s.informer.SetTransform(func(object any) (any, error) {
		if accessor, ok := object.(metav1.Object); ok {
			accessor.SetManagedFields(nil)
		}
		if options.Strip != nil {
			options.Strip(object)
		}
		return object, nil
	})
	return s
}

// Resource names the kind.
func (s *Store[T]) Resource() schema.GroupVersionResource { return s.resource }

// Namespace is the only one that the store is about; empty for all, or none.
func (s *Store[T]) Namespace() string { return s.namespace }

// New returns an empty object of the kind.
func (s *Store[T]) New() T { return reflect.New(reflect.TypeFor[T]().Elem()).Interface().(T) }

// Follow has the store be filled. It is for those who only read it, before the engine runs.
func (s *Store[T]) Follow() {
	if !s.followed {
		s.followed = true
		s.informers.followed = append(s.informers.followed, followed{s.resource, s.informer})
	}
}

// Informer is what feeds the store, which is followed from now on.
func (s *Store[T]) Informer() cache.SharedIndexInformer {
	s.Follow()
	return s.informer
}

// Indexer gives a lister what it needs. It is empty unless the store is followed.
func (s *Store[T]) Indexer() cache.Indexer { return s.informer.GetIndexer() }

// cached is the indexer for reading. That nothing was found would be mistaken for
// evidence in a store that nobody fills.
func (s *Store[T]) cached() cache.Indexer {
	if !s.followed {
		panic(fmt.Sprintf("the store of %s is read, and nobody follows it", s.resource.Resource))
	}
	return s.informer.GetIndexer()
}

// Writer writes to one namespace; to none for a kind of cluster scope.
func (s *Store[T]) Writer(namespace string) Writer[T] {
	if s.breaker != nil {
		return askingWriter[T]{s.writer(namespace), s}
	}
	return s.writer(namespace)
}

// Get returns the cached object, which must not be changed.
func (s *Store[T]) Get(namespace, name string) (T, bool) {
	key := name
	if namespace != "" {
		key = namespace + "/" + name
	}
	// The error belongs to stores that are not kept in memory.
	object, found, _ := s.cached().GetByKey(key)
	if !found {
		var none T
		return none, false
	}
	return object.(T), true
}

// Whole is the cached object with what was stripped from it.
func (s *Store[T]) Whole(ctx context.Context, object T) (T, error) {
	if !s.partial {
		return object, nil
	}
	return s.Writer(object.GetNamespace()).Get(ctx, object.GetName(), metav1.GetOptions{})
}

// Since returns when the cached object was created; zero without an object.
func (s *Store[T]) Since(key types.NamespacedName) time.Time {
	object, found := s.Get(key.Namespace, key.Name)
	if !found {
		return time.Time{}
	}
	return object.GetCreationTimestamp().Time
}

// ByIndex returns the cached objects that the index has under the value.
func (s *Store[T]) ByIndex(index, value string) []T {
	// The error tells that there is no such index, which a test of any use of it would show.
	objects, err := s.cached().ByIndex(index, value)
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
	objects := s.cached().List()
	out := make([]T, 0, len(objects))
	for _, object := range objects {
		out = append(out, object.(T))
	}
	return out
}
