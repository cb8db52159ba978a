// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/klog/v2"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/access"
	"garret.dev/garret/pkg/activity"
	"garret.dev/garret/pkg/relay"
	"garret.dev/garret/pkg/storage"
	"garret.dev/garret/pkg/wake"
)

// Server is garret-apiserver, ready to run.
type Server struct {
	generic *genericapiserver.GenericAPIServer
	relay   *relay.Relay
	waker   *wake.Waker
	// streamGrace is how long relayed streams may go on once the end has come.
	streamGrace time.Duration
}

// New builds the server.
func (c *Config) New() (*Server, error) {
	generic, err := c.generic.Complete().New("garret-apiserver", genericapiserver.NewEmptyDelegate())
	if err != nil {
		return nil, fmt.Errorf("api server: %w", err)
	}
	generic.ShutdownTimeout = c.options.StreamGrace + closing

	relayed, err := relay.NewMetrics(legacyregistry.Register)
	if err != nil {
		return nil, err
	}
	issuer := access.NewIssuer(c.dial, c.keeper.ClientCertificate)
	present := &attendant{}
	entrance := relay.New(relay.Config{
		Gate:        access.NewGate(c.generic.Authorization.Authorizer),
		Credentials: access.NewCredentials(issuer, access.DefaultRelayLife),
		Dial:        c.dial,
		Metrics:     relayed,
		Attendant:   present,
	})
	served, err := c.newResources(access.NewKubeconfigs(issuer, c.options.MaxKubeconfigLife).Waking(present.forKubeconfig), entrance)
	if err != nil {
		return nil, err
	}
	present.Recorder = activity.NewRecorder(served.clusters.Statuses, c.options.Clock)
	present.Waker = wake.New(wake.Options{Statuses: served.clusters.Statuses, Probe: entrance.Probe, Clock: c.options.Clock})
	c.slices.Ranges, c.storage.Allowed = served.endpointRanges, served.allowedStorage
	keepLocal, err := served.keepLocal(c.generic.LoopbackClientConfig)
	if err != nil {
		return nil, err
	}
	// The options of a connecting subresource are ours, so the codec for them must know our scheme.
	group := genericapiserver.NewDefaultAPIGroupInfo(tenancy.GroupName, c.scheme, runtime.NewParameterCodec(c.scheme), c.codecs)
	group.NegotiatedSerializer = withoutProtobuf{c.codecs}
	group.VersionedResourcesStorageMap[v1.SchemeGroupVersion.Version] = served.byPath()
	if err := generic.InstallAPIGroup(&group); err != nil {
		return nil, fmt.Errorf("install group %s: %w", tenancy.GroupName, err)
	}
	if err := generic.AddReadyzChecks(reasoned(healthz.NamedCheck("storage", served.cached))); err != nil {
		return nil, err
	}
	c.openGateway(generic, served.clusters)
	c.openMetrics(generic, served.clusters.VirtualCluster, issuer)
	for name, run := range map[string]func(context.Context){
		"garret-certificates":  c.keeper.Run,
		"garret-publish-certs": c.publisher.Run,
		"garret-host-cluster":  keepLocal,
		"garret-activity":      present.Run,
	} {
		generic.AddPostStartHookOrDie(name, func(hook genericapiserver.PostStartHookContext) error {
			go run(hook)
			return nil
		})
	}
	generic.AddPreShutdownHookOrDie("garret-activity", func() error {
		present.Recorder.End()
		return nil
	})
	return &Server{generic: generic, relay: entrance, waker: present.Waker, streamGrace: c.options.StreamGrace}, nil
}

// Run starts the datastore, if it is ours to start, and serves until ctx ends.
func Run(ctx context.Context, options *Options) error {
	if !options.externalEtcd() {
		datastore, err := storage.Listen(ctx, options.Datastore)
		if err != nil {
			return err
		}
		// After the server: its last writes still go through here.
		defer datastore.Stop()
		options.datastore = datastore
		options.Recommended.Etcd.StorageConfig.Transport.ServerList = []string{datastore.Endpoint}
		klog.FromContext(ctx).Info("Datastore is up", "embedded", options.Datastore.Embedded())
	}
	config, err := NewConfig(ctx, options)
	if err != nil {
		return err
	}
	server, err := config.New()
	if err != nil {
		return err
	}
	return server.Run(ctx)
}
