// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/admission"
	apiopenapi "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/filters"
	"k8s.io/client-go/kubernetes"
	"k8s.io/component-base/compatibility"
	"k8s.io/component-base/metrics/legacyregistry"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/openapi"
	"garret.dev/garret/pkg/access"
	"garret.dev/garret/pkg/apiserver/certs"
	"garret.dev/garret/pkg/relay"
	"garret.dev/garret/pkg/slicereview"
	"garret.dev/garret/pkg/storagereview"
)

// Config is everything that the server is built from.
type Config struct {
	generic   *genericapiserver.RecommendedConfig
	scheme    *runtime.Scheme
	codecs    serializer.CodecFactory
	options   *Options
	keeper    *certs.Keeper
	publisher *certs.Publisher
	dial      access.Dialer
	slices    *slicereview.Reviewer
	storage   *storagereview.Reviewer
}

// NewConfig turns options into a configuration. The datastore must run
// already, and be named in the options of etcd. ctx bounds the waiting for the host.
func NewConfig(ctx context.Context, options *Options) (*Config, error) {
	scheme := NewScheme()
	codecs := serializer.NewCodecFactory(scheme)
	c := &Config{scheme: scheme, codecs: codecs, options: options, generic: genericapiserver.NewRecommendedConfig(codecs)}
	c.generic.EffectiveVersion = options.Globals.EffectiveVersionFor(compatibility.DefaultKubeComponent)
	c.generic.FeatureGate = options.Globals.FeatureGateFor(compatibility.DefaultKubeComponent)
	c.describe()

	// First the host: certificates are kept there, and it says which policies there are.
	if err := options.Recommended.CoreAPI.ApplyTo(c.generic); err != nil {
		return nil, fmt.Errorf("connection to the host: %w", err)
	}
	host, err := kubernetes.NewForConfig(c.generic.ClientConfig)
	if err != nil {
		return nil, fmt.Errorf("client of the host: %w", err)
	}
	if err := switchOffUnserved(ctx, host.Discovery(), options.Recommended.Admission); err != nil {
		return nil, err
	}
	if err := c.certificates(ctx, host); err != nil {
		return nil, err
	}
	if err := c.lookUpClients(ctx, host); err != nil {
		return nil, err
	}
	if c.generic.TracerProvider, err = options.Tracing.Provider(ctx, "garret-apiserver", c.generic.APIServerID); err != nil {
		return nil, err
	}
	if err := c.applyRecommended(); err != nil {
		return nil, err
	}
	if !options.servesFiles() {
		c.generic.SecureServing.Cert = c.keeper.Serving()
	}
	c.checks()
	c.explainKeys()
	c.slices, c.storage = &slicereview.Reviewer{Host: host}, &storagereview.Reviewer{}
	c.chain()
	if c.dial = options.Dial; c.dial == nil {
		c.dial = access.DialDNS()
		if options.Resolve == ResolveAPI {
			c.dial = access.DialClusterIP(host.CoreV1())
		}
	}
	return c, nil
}

// describe sets up OpenAPI, from which explain and server-side apply live.
func (c *Config) describe() {
	namer := apiopenapi.NewDefinitionNamer(c.scheme)
	c.generic.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(openapi.GetOpenAPIDefinitions, namer)
	c.generic.OpenAPIConfig.Info.Title = "Garret"
	c.generic.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(openapi.GetOpenAPIDefinitions, namer)
	c.generic.OpenAPIV3Config.Info.Title = "Garret"
}

// certificates loads our own, or makes them.
func (c *Config) certificates(ctx context.Context, host kubernetes.Interface) error {
	service, namespace := c.options.Service, c.options.Namespace
	names, addresses := c.options.Gateway.names()
	registrations, err := aggregator.NewForConfig(c.generic.ClientConfig)
	if err != nil {
		return fmt.Errorf("client of the host's registrations: %w", err)
	}
	expirations, err := certs.NewMetrics(legacyregistry.Register)
	if err != nil {
		return err
	}
	c.keeper = certs.NewKeeper(host, namespace, certs.Identity{
		DNSNames: append([]string{
			service, service + "." + namespace, service + "." + namespace + ".svc", "localhost",
		}, names...),
		IPAddresses: append([]net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, addresses...),
		ClientName:  v1.APIServerUser,
	}, c.options.Lives).WithClock(c.options.Clock).WithMetrics(expirations)
	c.publisher = &certs.Publisher{
		Client: host, Aggregator: registrations, Namespace: namespace, Service: service,
		Keeper: c.keeper, LeaveAPIService: c.options.servesFiles(),
	}
	if err := c.keeper.Load(ctx); err != nil {
		return fmt.Errorf("certificates of garret-apiserver: %w", err)
	}
	return nil
}

// applyRecommended applies the options of the library, with ours in between.
func (c *Config) applyRecommended() error {
	recommended := c.options.Recommended
	addQuota(recommended.Admission)
	recommended.ExtraAdmissionInitializers = func(config *genericapiserver.RecommendedConfig) ([]admission.PluginInitializer, error) {
		quotas, err := newQuotaInitializer(config.LoopbackClientConfig)
		return []admission.PluginInitializer{quotas}, err
	}
	c.generic.RequestTimeout = c.options.RequestTimeout
	c.generic.ShutdownDelayDuration = c.options.ShutdownDelay
	c.generic.ShutdownWatchTerminationGracePeriod = watchDrain
	if err := recommended.ApplyTo(c.generic); err != nil {
		return fmt.Errorf("options: %w", err)
	}
	if policy := c.generic.AuditPolicyRuleEvaluator; policy != nil {
		c.generic.AuditPolicyRuleEvaluator = keySaving{policy}
	}
	return nil
}

// chain puts into the handler chain what the relay and the gateway need there, and
// what the host asks about EndpointSlices, volumes and storage classes of syncers.
func (c *Config) chain() {
	c.generic.LongRunningFunc = relay.LongRunning(
		filters.BasicLongRunningRequestCheck(sets.NewString("watch"), sets.NewString()))
	c.generic.BuildHandlerChainFunc = c.gatewayChain(func(handler http.Handler, config *genericapiserver.Config) http.Handler {
		handler = withOwnConnection(relay.WithInnerQuery(c.storage.Serve(c.slices.Serve(handler))), config.LongRunningFunc)
		return withFarewell(genericapiserver.DefaultBuildHandlerChain(handler, config), config.ShutdownInitiatedNotify())
	})
}
