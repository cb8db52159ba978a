package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/component-base/version"
	"k8s.io/klog/v2"
	aggregatorapiserver "k8s.io/kube-aggregator/pkg/apiserver"
	kubeapiserver "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	kcm "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"

	"garret.dev/garret/cmd/controlplane/internal/datadir"
	"garret.dev/garret/cmd/controlplane/internal/datastore"
	"garret.dev/garret/cmd/controlplane/internal/etcdclient"
	"garret.dev/garret/cmd/controlplane/internal/flags"
	"garret.dev/garret/cmd/controlplane/internal/seed"
)

// settleTime is how long after the start memory is given back once more: the
// controllers' first lists are over by then.
const settleTime = 10 * time.Second

// Server is one control plane process.
type Server struct {
	flags     *flags.Server
	layout    datadir.Layout
	phases    *phases
	advertise net.IP
	sans      []string
	datastore *datastore.Datastore
	// prepared is called when all parts of the API server are installed.
	prepared func()
	// documents decides when the list of OpenAPI documents is read.
	documents *collection
	// seeds are where a seed for a new database is looked for.
	seeds []string
	now   func() time.Time
	// Ready is closed when /readyz has answered 200 and the kubeconfigs are
	// written.
	ready chan struct{}
}

// New returns a server for validated flags.
func New(f *flags.Server) *Server {
	return &Server{flags: f, phases: newPhases(), seeds: seed.Locations(), now: time.Now, ready: make(chan struct{})}
}

// WithoutSeed makes the server create an empty database instead of copying the seed.
func (s *Server) WithoutSeed() *Server {
	s.seeds = nil
	return s
}

// Ready is closed once the API is ready and kubeconfigs are written.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Run runs the control plane until ctx is cancelled, then stops it: the API server drains first,
// the datastore closes last. It returns an error when a part cannot start, or ends too early.
func (s *Server) Run(ctx context.Context) error {
	restCollector()
	var err error
	if s.layout, err = datadir.New(s.flags.DataDir); err != nil {
		return err
	}
	lock, err := s.layout.Lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	listener, err := listen(s.flags)
	if err != nil {
		return err
	}
	defer listener.Close()
	if s.advertise, err = advertiseAddress(s.flags); err != nil {
		return err
	}
	if s.sans, err = servingNames(s.flags, s.advertise); err != nil {
		return err
	}

	if s.datastore, err = datastore.Open(s.datastoreConfig()); err != nil {
		return err
	}
	defer s.datastore.Stop()
	defer etcdclient.Disconnect()
	chain, controllers, err := s.prepare(ctx, listener)
	if err != nil {
		return err
	}
	return s.serve(ctx, chain, controllers)
}

// prepare opens the datastore and builds the components, side by side.
func (s *Server) prepare(ctx context.Context, listener net.Listener) (*aggregatorapiserver.APIAggregator, *kcm.KubeControllerManagerOptions, error) {
	startDatastore := func() error {
		defer s.phases.mark("datastore")
		return s.startDatastore(ctx)
	}
	if s.datastore.Shared {
		// Who signs is known only when the datastore has been asked.
		if err := startDatastore(); err != nil {
			return nil, nil, err
		}
	}
	if err := s.credentials(ctx); err != nil {
		return nil, nil, err
	}
	s.phases.mark("certificates")
	apiOptions, controllerOptions, err := s.options()
	if err != nil {
		return nil, nil, err
	}

	var chain *aggregatorapiserver.APIAggregator
	var group errgroup.Group
	if !s.datastore.Shared {
		group.Go(startDatastore)
	}
	group.Go(func() error {
		defer s.phases.mark("apiserver")
		var err error
		chain, err = s.buildAPIServer(ctx, apiOptions, listener)
		return err
	})
	err = group.Wait()
	return chain, controllerOptions, err
}

// startDatastore opens the database, a new one from the seed.
func (s *Server) startDatastore(ctx context.Context) error {
	datastore.RouteLogs(ctx)
	if s.flags.DatastoreEndpoint == "" {
		seedFrom, err := seed.Install(ctx, s.layout.Database(), version.Get().GitVersion, s.seeds, s.now())
		if err != nil {
			// A start without a seed is slower and otherwise the same.
			klog.FromContext(ctx).Error(err, "Seed not used")
		} else if seedFrom != "" {
			s.phases.mark("seed")
		}
	}
	return s.datastore.Start(ctx)
}

// serve runs the components until ctx is cancelled or one of them ends.
func (s *Server) serve(ctx context.Context, chain *aggregatorapiserver.APIAggregator, controllers *kcm.KubeControllerManagerOptions) error {
	prepared, err := chain.PrepareRun()
	if err != nil {
		return fmt.Errorf("kube-apiserver: %w", err)
	}
	s.prepared()
	if err := s.documents.calm(chain); err != nil {
		klog.FromContext(ctx).Error(err, "OpenAPI documents are collected each second")
	}
	s.phases.mark("prepared")

	// The API server outlives the rest: controllers that stop still write.
	apiCtx, stopAPI := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAPI()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	apiDone := make(chan error, 1)
	go func() {
		defer stop()
		apiDone <- prepared.Run(apiCtx)
	}()

	err = s.afterListening(ctx, chain.GenericAPIServer.LoopbackClientConfig, controllers)
	stopped := errors.Is(err, context.Canceled)
	stopAPI()
	apiErr := <-apiDone
	switch {
	case apiErr != nil:
		return fmt.Errorf("kube-apiserver: %w", apiErr)
	case err != nil && !stopped:
		return err
	}
	return nil
}

// afterListening waits for the API, publishes the kubeconfig and runs what
// needs the API: controllers and the renewal of certificates.
func (s *Server) afterListening(ctx context.Context, loopback *rest.Config, controllers *kcm.KubeControllerManagerOptions) error {
	if err := waitReady(ctx, loopback, func() { s.phases.mark("listening") }); err != nil {
		return err
	}
	s.phases.mark("ready")
	if err := s.writeKubeconfig(ctx); err != nil {
		return err
	}
	s.phases.mark("kubeconfig")
	close(s.ready)

	group, ctx := errgroup.WithContext(ctx)
	if !s.flags.DisableControllerManager {
		// With other servers on the database, the one that has the lease checks.
		if !s.datastore.Shared && takeTypeChecks(controllers) {
			workers := int(controllers.ValidatingAdmissionPolicyStatusController.ConcurrentPolicySyncs)
			group.Go(func() error { return checkTypes(ctx, loopback, workers) })
		}
		group.Go(func() error {
			if err := runControllerManager(ctx, controllers); err != nil {
				return fmt.Errorf("kube-controller-manager: %w", err)
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return errors.New("kube-controller-manager ended by itself")
		})
	}
	s.phases.mark("controllers")
	s.phases.log(klog.FromContext(ctx))
	group.Go(func() error { return s.renew(ctx) })
	group.Go(func() error {
		wakeCollector()
		select {
		case <-ctx.Done():
		case <-time.After(settleTime):
			wakeCollector()
			tend(ctx)
		}
		return nil
	})
	return group.Wait()
}

// options reads the command lines of the components and puts into effect what
// is common to the process.
func (s *Server) options() (*kubeapiserver.ServerRunOptions, *kcm.KubeControllerManagerOptions, error) {
	if err := releaseLeadership(); err != nil {
		return nil, nil, err
	}
	processWide, own := splitProcessWide(s.flags.ControllerManagerArgs)
	f := *s.flags
	f.ControllerManagerArgs = own
	f.APIServerArgs = append(append([]string{}, f.APIServerArgs...), processWide...)
	apiOptions, err := parseAPIServer(apiServerArgs(&f, s.layout, s.datastore, s.advertise))
	if err != nil {
		return nil, nil, err
	}
	controllerOptions, err := parseControllerManager(controllerManagerArgs(&f, s.layout, s.datastore.Shared))
	if err != nil {
		return nil, nil, err
	}
	if err := applyProcessWide(apiOptions); err != nil {
		return nil, nil, err
	}
	for _, collector := range datastore.Collectors() {
		legacyregistry.RawMustRegister(collector)
	}
	return apiOptions, controllerOptions, nil
}
