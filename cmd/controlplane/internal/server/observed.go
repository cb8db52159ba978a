package server

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/storage"

	"garret.dev/garret/cmd/controlplane/internal/instep"
)

// streamed lets the caches look often when somebody streams a first list from the storage. The
// list ends with a bookmark, which a cache sends when it looks.
type streamed struct {
	storage.Interface
	clock instep.Clock
}

func (s streamed) Watch(ctx context.Context, key string, options storage.ListOptions) (watch.Interface, error) {
	if options.SendInitialEvents != nil && *options.SendInitialEvents {
		s.clock.Hurry()
	}
	return s.Interface.Watch(ctx, key, options)
}

// written calls a function after each write to a storage.
type written struct {
	storage.Interface
	after func()
}

func (w written) Create(ctx context.Context, key string, object, out runtime.Object, ttl uint64) error {
	defer w.after()
	return w.Interface.Create(ctx, key, object, out, ttl)
}

func (w written) Delete(ctx context.Context, key string, out runtime.Object, preconditions *storage.Preconditions,
	validate storage.ValidateObjectFunc, cached runtime.Object, options storage.DeleteOptions,
) error {
	defer w.after()
	return w.Interface.Delete(ctx, key, out, preconditions, validate, cached, options)
}

func (w written) GuaranteedUpdate(ctx context.Context, key string, destination runtime.Object, ignoreNotFound bool,
	preconditions *storage.Preconditions, update storage.UpdateFunc, cached runtime.Object,
) error {
	defer w.after()
	return w.Interface.GuaranteedUpdate(ctx, key, destination, ignoreNotFound, preconditions, update, cached)
}
