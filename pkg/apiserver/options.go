// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"errors"
	"fmt"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	genericapiserver "k8s.io/apiserver/pkg/server"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/compatibility"
	"k8s.io/utils/clock"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/apis/tenancy/validation"
	"garret.dev/garret/pkg/access"
	"garret.dev/garret/pkg/apiserver/certs"
	"garret.dev/garret/pkg/storage"
	"garret.dev/garret/pkg/tracing"
)

// Ways to find the Service of a virtual cluster.
const (
	// ResolveDNS asks the host cluster's DNS, which is there for a pod.
	ResolveDNS = "dns"
	// ResolveAPI asks the host's API server for the ClusterIP, for a process on
	// a node; it takes the right to get services.
	ResolveAPI = "api"
)

// Options are what the command line says.
type Options struct {
	Recommended *genericoptions.RecommendedOptions
	Datastore   *storage.Options
	Gateway     GatewayOptions
	Tracing     tracing.Options
	// Globals hold the versions to emulate and the feature gates.
	Globals compatibility.ComponentGlobalsRegistry

	// Namespace and Service are where garret-apiserver itself is found on the host.
	Namespace, Service string
	// Resolve says how the Services of virtual clusters are found.
	Resolve string
	// MaxKubeconfigLife bounds the issued credentials.
	MaxKubeconfigLife time.Duration
	// RequestTimeout ends requests that are neither watches nor streams.
	RequestTimeout time.Duration
	// ShutdownDelay is how long requests are still served after the end was asked for.
	ShutdownDelay time.Duration
	// StreamGrace is how long relayed streams, such as exec and logs, may go on after that.
	StreamGrace time.Duration

	// ValidateValues checks the advanced chart values of a VirtualCluster.
	ValidateValues validation.ValuesValidator
	// datastore is the one that this process runs, once it does.
	datastore *storage.Datastore
	// Dial, when set, replaces what Resolve says. Tests use it.
	Dial access.Dialer
	// Lives are the spans of our own certificates, and Clock is what they go by.
	Lives certs.Lives
	Clock clock.WithTicker
}

// NewOptions returns the defaults for a pod on the host.
func NewOptions() *Options {
	// First, since much of what follows asks for features.
	globals := newGlobals()
	codecs := serializer.NewCodecFactory(NewScheme())
	recommended := genericoptions.NewRecommendedOptions("/registry", codecs.LegacyCodec(v1.SchemeGroupVersion))
	recommended.Etcd.StorageConfig.EncodeVersioner = runtime.NewMultiGroupVersioner(v1.SchemeGroupVersion, schema.GroupKind{Group: tenancy.GroupName})
	recommended.Etcd.StorageConfig.Type = storagebackend.StorageTypeETCD3
	recommended.SecureServing.BindPort = 8443
	// Serving certificates come from package certs, or from files; never from a directory.
	recommended.SecureServing.ServerCert.CertDirectory = ""
	recommended.Features.EnableProfiling = false
	// Package tracing takes its place.
	recommended.Traces = nil

	namespace := os.Getenv("POD_NAMESPACE")
	if namespace == "" {
		namespace = v1.SystemNamespace
	}
	return &Options{
		Recommended:       recommended,
		Datastore:         storage.NewOptions(),
		Globals:           globals,
		Namespace:         namespace,
		Service:           "garret-apiserver",
		Resolve:           ResolveDNS,
		MaxKubeconfigLife: access.MaxKubeconfigLife,
		RequestTimeout:    genericapiserver.NewConfig(codecs).RequestTimeout,
		StreamGrace:       10 * time.Second,
		Lives:             certs.DefaultLives(),
		Clock:             clock.RealClock{},
	}
}

// Flags are the command line, in sections.
func (o *Options) Flags() cliflag.NamedFlagSets {
	var sets cliflag.NamedFlagSets
	garret := sets.FlagSet("garret")
	garret.StringVar(&o.Namespace, "namespace", o.Namespace, "Namespace that garret-apiserver runs in.")
	garret.StringVar(&o.Service, "service-name", o.Service, "Service that the APIService points to.")
	garret.StringVar(&o.Resolve, "resolve-services", o.Resolve,
		"How Services of virtual clusters are found: dns, inside the host cluster, or api, outside of its DNS.")
	garret.DurationVar(&o.MaxKubeconfigLife, "kubeconfig-max-life", o.MaxKubeconfigLife,
		"Longest life of an issued kubeconfig; one that is asked for longer is shortened, with a warning. At most 24h.")
	garret.DurationVar(&o.RequestTimeout, "request-timeout", o.RequestTimeout,
		"After what time a request that is neither a watch nor a stream ends.")
	garret.DurationVar(&o.ShutdownDelay, "shutdown-delay-duration", o.ShutdownDelay,
		"How long requests are still served, while /readyz fails already, after the end was asked for. Of use with several replicas.")
	garret.DurationVar(&o.StreamGrace, "shutdown-stream-grace-period", o.StreamGrace,
		"How long relayed streams, such as exec, port-forward and logs, may go on after that. A pod's termination grace period must be longer than both, by ten seconds.")

	o.Gateway.addFlags(sets.FlagSet("gateway"))
	o.Datastore.AddFlags(sets.FlagSet("datastore"))
	o.Recommended.Etcd.AddFlags(sets.FlagSet("etcd"))
	o.Recommended.SecureServing.AddFlags(sets.FlagSet("secure serving"))
	o.Recommended.Authentication.AddFlags(sets.FlagSet("authentication"))
	o.Recommended.Authorization.AddFlags(sets.FlagSet("authorization"))
	o.Recommended.Audit.AddFlags(sets.FlagSet("audit"))
	o.Recommended.Features.AddFlags(sets.FlagSet("features"))
	o.Recommended.CoreAPI.AddFlags(sets.FlagSet("host"))
	o.Recommended.Admission.AddFlags(sets.FlagSet("admission"))
	o.Tracing.AddFlags(sets.FlagSet("traces"))
	o.Globals.AddFlags(sets.FlagSet("features"))
	return sets
}

// Complete puts versions and feature gates into effect, which must come before
// anything asks for a feature, and fills in what follows from other options.
func (o *Options) Complete() error {
	if err := o.applyVersions(); err != nil {
		return err
	}
	kubeconfig := o.Recommended.CoreAPI.CoreAPIKubeconfigPath
	if o.Recommended.Authentication.RemoteKubeConfigFile == "" {
		o.Recommended.Authentication.RemoteKubeConfigFile = kubeconfig
	}
	if o.Recommended.Authorization.RemoteKubeConfigFile == "" {
		o.Recommended.Authorization.RemoteKubeConfigFile = kubeconfig
	}
	return nil
}

// Validate says what is wrong with the options.
func (o *Options) Validate() error {
	var errs []error
	if o.Namespace == "" || o.Service == "" {
		errs = append(errs, errors.New("--namespace and --service-name: must not be empty"))
	}
	if o.Resolve != ResolveDNS && o.Resolve != ResolveAPI {
		errs = append(errs, fmt.Errorf("--resolve-services: %q is neither %s nor %s", o.Resolve, ResolveDNS, ResolveAPI))
	}
	if o.MaxKubeconfigLife < access.MinKubeconfigLife || o.MaxKubeconfigLife > access.MaxKubeconfigLife {
		errs = append(errs, fmt.Errorf("--kubeconfig-max-life: must lie between %s and %s", access.MinKubeconfigLife, access.MaxKubeconfigLife))
	}
	if o.RequestTimeout <= 0 || o.ShutdownDelay < 0 || o.StreamGrace < 0 {
		errs = append(errs, errors.New("--request-timeout must be more than zero, --shutdown-delay-duration and --shutdown-stream-grace-period not less"))
	}
	errs = append(errs, o.Gateway.validate()...)
	if o.externalEtcd() && o.Datastore.Endpoint != "" {
		errs = append(errs, errors.New("--etcd-servers and --datastore-endpoint: choose one"))
	}
	if o.externalEtcd() {
		errs = append(errs, o.Recommended.Etcd.Validate()...)
	} else {
		errs = append(errs, o.Datastore.Validate()...)
	}
	for _, section := range [][]error{
		o.Recommended.SecureServing.Validate(), o.Recommended.Authentication.Validate(), o.Recommended.Authorization.Validate(),
		o.Recommended.Audit.Validate(), o.Recommended.Features.Validate(), o.Recommended.CoreAPI.Validate(),
		o.Recommended.Admission.Validate(),
	} {
		errs = append(errs, section...)
	}
	return errors.Join(errs...)
}

func (o *Options) externalEtcd() bool {
	return len(o.Recommended.Etcd.StorageConfig.Transport.ServerList) > 0
}

// servesFiles says whether the serving certificate is given as files.
func (o *Options) servesFiles() bool {
	return o.Recommended.SecureServing.ServerCert.CertKey.CertFile != ""
}
