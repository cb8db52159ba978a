package server

import (
	"reflect"
	"sync"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/cacher"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kube-aggregator/pkg/apis/apiregistration"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"

	"garret.dev/garret/cmd/controlplane/internal/instep"
)

const (
	// cacheStep is how often the caches of all resources look for watches that are due to hear
	// how far they are, while somebody streams a first list. Each looks about once a second.
	cacheStep = time.Second
	// cacheCalm is how often they do so otherwise: each watch hears it once a minute.
	cacheCalm = 10 * time.Second
	// checkPeriod is how often each cache is compared with all that the database has of its
	// resource. Upstream's five minutes are a sixth of what an idle control plane does.
	checkPeriod = 30 * time.Minute
)

// cacheInStep lets the caches of all resources wake together. Changed is called when a custom
// resource definition or an APIService was written.
func cacheInStep(config *app.Config, changed func()) {
	step := instep.New(cacheStep, cacheCalm)
	extensions := config.ApiExtensions
	for _, getter := range []*generic.RESTOptionsGetter{
		&config.KubeAPIs.ControlPlane.Generic.RESTOptionsGetter,
		&config.Aggregator.GenericConfig.RESTOptionsGetter,
		&extensions.GenericConfig.RESTOptionsGetter,
		&extensions.ExtraConfig.CRDRESTOptionsGetter,
	} {
		*getter = inStep{RESTOptionsGetter: *getter, clock: step, changed: changed}
	}
}

// inStep gives resources that have a cache one with another clock.
type inStep struct {
	generic.RESTOptionsGetter
	clock   instep.Clock
	changed func()
}

// GetRESTOptions has the caching storage of the resource replaced by one with the clock.
func (s inStep) GetRESTOptions(resource schema.GroupResource, example runtime.Object) (generic.RESTOptions, error) {
	options, err := s.RESTOptionsGetter.GetRESTOptions(resource, example)
	if err != nil {
		return options, err
	}
	decorate := options.Decorator
	if !uncached(options) {
		decorate = s.cached
	}
	options.Decorator = func(config *storagebackend.ConfigForResource, prefix string, key func(runtime.Object) (string, error),
		newObject, newList func() runtime.Object, attributes storage.AttrFunc, triggers storage.IndexerFuncs, indexers *cache.Indexers,
	) (storage.Interface, factory.DestroyFunc, error) {
		made, destroy, err := decorate(config, prefix, key, newObject, newList, attributes, triggers, indexers)
		if err != nil {
			return nil, nil, err
		}
		made = streamed{made, s.clock}
		switch resource {
		case apiextensions.Resource("customresourcedefinitions"), apiregistration.Resource("apiservices"):
			made = written{made, s.changed}
		}
		return made, destroy, nil
	}
	return options, nil
}

// uncached tells whether a resource is to have no cache, as Events. Upstream says so by the
// function that makes the storage.
func uncached(options generic.RESTOptions) bool {
	return reflect.ValueOf(options.Decorator).Pointer() == reflect.ValueOf(generic.UndecoratedStorage).Pointer()
}

// cached is the storage of a resource behind a cache.
func (s inStep) cached(config *storagebackend.ConfigForResource, prefix string, key func(runtime.Object) (string, error),
	newObject, newList func() runtime.Object, attributes storage.AttrFunc, triggers storage.IndexerFuncs, indexers *cache.Indexers,
) (storage.Interface, factory.DestroyFunc, error) {
	raw, destroyRaw, err := generic.NewRawStorage(config, newObject, newList, prefix)
	if err != nil {
		return nil, nil, err
	}
	front, err := cacher.NewCacherFromConfig(cacher.Config{
		Storage: raw, Versioner: storage.APIObjectVersioner{}, GroupResource: config.GroupResource,
		EventsHistoryWindow: config.EventsHistoryWindow, ResourcePrefix: prefix, KeyFunc: key, NewFunc: newObject, NewListFunc: newList,
		GetAttrsFunc: attributes, IndexerFuncs: triggers, Indexers: indexers, Codec: config.Codec, Clock: s.clock,
	})
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
