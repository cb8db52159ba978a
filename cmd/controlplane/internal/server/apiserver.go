package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	genericapiserver "k8s.io/apiserver/pkg/server"
	basecompatibility "k8s.io/component-base/compatibility"
	"k8s.io/component-base/featuregate"
	logsapi "k8s.io/component-base/logs/api/v1"
	aggregatorapiserver "k8s.io/kube-aggregator/pkg/apiserver"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"

	"garret.dev/garret/cmd/controlplane/internal/bootstrap"
)

// shutdownTimeout is how long requests under way may take when the server stops.
// A watch is one, and has no end of its own.
const shutdownTimeout = time.Second

// parseAPIServer turns a command line into kube-apiserver's options. Feature
// gates belong to the process, so they are set by the caller once the command
// lines of all components have been read.
func parseAPIServer(args []string) (*options.ServerRunOptions, error) {
	o := options.NewServerRunOptions()
	fs := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	sets := o.Flags()
	for _, set := range sets.FlagSets {
		fs.AddFlagSet(set)
	}
	if err := fs.Parse(args); err != nil {
		return nil, fmt.Errorf("--kube-apiserver-arg: %w", err)
	}
	return o, nil
}

// applyProcessWide puts into effect what the options hold for the process as a
// whole: feature gates and logging.
func applyProcessWide(o *options.ServerRunOptions) error {
	registry := o.GenericServerRunOptions.ComponentGlobalsRegistry
	if err := registry.Set(); err != nil {
		return fmt.Errorf("feature gates: %w", err)
	}
	gates := registry.FeatureGateFor(basecompatibility.DefaultKubeComponent)
	if err := logsapi.ValidateAndApply(o.Logs, gates); err != nil {
		return fmt.Errorf("logging: %w", err)
	}
	gates.(featuregate.MutableFeatureGate).AddMetrics()
	registry.AddMetrics()
	return nil
}

// buildAPIServer makes the three servers of kube-apiserver, chained, with all
// API groups installed.
func (s *Server) buildAPIServer(ctx context.Context, o *options.ServerRunOptions, listener net.Listener) (*aggregatorapiserver.APIAggregator, error) {
	addr := listener.Addr().(*net.TCPAddr)
	o.SecureServing.Listener = listener
	o.SecureServing.BindAddress = addr.IP
	o.SecureServing.BindPort = addr.Port

	if err := nameInformers(o); err != nil {
		return nil, err
	}
	s.documents = newCollection(s.datastore.Shared)
	documents := &documentPaths{holds: s.documents.holds}
	o.Admission.GenericAdmission.Plugins = admissionPlugins(documents)
	completed, err := o.Complete(ctx)
	if err != nil {
		return nil, err
	}
	if errs := completed.Validate(); len(errs) != 0 {
		return nil, fmt.Errorf("--kube-apiserver-arg: %w", utilerrors.NewAggregate(errs))
	}
	config, err := app.NewConfig(completed)
	if err != nil {
		return nil, err
	}
	if !s.datastore.Shared {
		alone(config)
	}
	cacheInStep(config, s.documents.changed)
	generic := config.KubeAPIs.ControlPlane.Generic
	if s.flags.AdvertisePort != 0 {
		// The loopback client has its address by now; what follows asks the
		// listener only for the port to publish.
		generic.SecureServing.Listener = advertisedListener{Listener: listener, port: s.flags.AdvertisePort}
	}
	front := &config.Aggregator.GenericConfig.Config
	spared := newSparing(ctx.Done())
	front.BuildHandlerChainFunc = spared.before(publicPaths(s.layout, front.BuildHandlerChainFunc))
	openAPI := newLazyOpenAPI(generic, s.flags.APIServerArgs...)
	hooks := bootstrap.Take(generic)
	prepared, err := config.Complete()
	if err != nil {
		return nil, err
	}
	chain, err := app.CreateServerChain(prepared)
	if err != nil {
		return nil, err
	}
	core, ok := chain.GenericAPIServer.NextDelegate().(*genericapiserver.GenericAPIServer)
	if !ok {
		return nil, errors.New("kube-apiserver: the aggregator's delegate is not a generic API server")
	}
	if err := openAPI.install(core); err != nil {
		return nil, err
	}
	documents.serve(chain.GenericAPIServer.Handler.NonGoRestfulMux)
	spared.tag = discoveryTag(core.AggregatedLegacyDiscoveryGroupManager, chain.GenericAPIServer.AggregatedDiscoveryGroupManager)
	s.prepared = openAPI.forget
	chain.GenericAPIServer.ShutdownTimeout = shutdownTimeout
	// A server copies the hooks of its delegates when it is made, so what
	// comes later is registered with the one that runs them.
	return chain, hooks.Register(chain.GenericAPIServer)
}
