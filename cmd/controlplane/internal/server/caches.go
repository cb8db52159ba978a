package server

import (
	"reflect"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/cacher"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"

	"garret.dev/garret/cmd/controlplane/internal/instep"
)

// cacheStep is how often the caches of all resources look for watches that are due to hear
// how far they are. Each looks about once a second.
const cacheStep = time.Second

// cacheInStep lets the caches of all resources wake together.
func cacheInStep(config *app.Config) {
	step := instep.New(cacheStep)
	extensions := config.ApiExtensions
	for _, getter := range []*generic.RESTOptionsGetter{
		&config.KubeAPIs.ControlPlane.Generic.RESTOptionsGetter,
		&config.Aggregator.GenericConfig.RESTOptionsGetter,
		&extensions.GenericConfig.RESTOptionsGetter,
		&extensions.ExtraConfig.CRDRESTOptionsGetter,
	} {
		*getter = inStep{RESTOptionsGetter: *getter, clock: step}
	}
}

// inStep gives resources that have a cache one with another clock.
type inStep struct {
	generic.RESTOptionsGetter
	clock instep.Clock
}

// GetRESTOptions has the caching storage of the resource replaced by one with the clock.
func (s inStep) GetRESTOptions(resource schema.GroupResource, example runtime.Object) (generic.RESTOptions, error) {
	options, err := s.RESTOptionsGetter.GetRESTOptions(resource, example)
	if err != nil || uncached(options) {
		return options, err
	}
	options.Decorator = func(config *storagebackend.ConfigForResource, prefix string, key func(runtime.Object) (string, error),
		newObject, newList func() runtime.Object, attributes storage.AttrFunc, triggers storage.IndexerFuncs, indexers *cache.Indexers,
	) (storage.Interface, factory.DestroyFunc, error) {
		return cached(cacher.Config{
			Versioner: storage.APIObjectVersioner{}, GroupResource: config.GroupResource, EventsHistoryWindow: config.EventsHistoryWindow,
			ResourcePrefix: prefix, KeyFunc: key, NewFunc: newObject, NewListFunc: newList, GetAttrsFunc: attributes,
			IndexerFuncs: triggers, Indexers: indexers, Codec: config.Codec, Clock: s.clock,
		}, config)
	}
	return options, nil
}

// uncached tells whether a resource is to have no cache, as Events. Upstream says so by the
// function that makes the storage.
func uncached(options generic.RESTOptions) bool {
	return reflect.ValueOf(options.Decorator).Pointer() == reflect.ValueOf(generic.UndecoratedStorage).Pointer()
}

// cached is the storage of a resource behind a cache.
func cached(config cacher.Config, resource *storagebackend.ConfigForResource) (storage.Interface, factory.DestroyFunc, error) {
	raw, destroyRaw, err := generic.NewRawStorage(resource, config.NewFunc, config.NewListFunc, config.ResourcePrefix)
	if err != nil {
		return nil, nil, err
	}
	config.Storage = raw
	front, err := cacher.NewCacherFromConfig(config)
	if err != nil {
		destroyRaw()
		return nil, nil, err
	}
	delegator := cacher.NewCacheDelegator(front, raw)
	return delegator, sync.OnceFunc(func() {
		delegator.Stop()
		front.Stop()
		destroyRaw()
	}), nil
}
