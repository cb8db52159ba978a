// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/endpoints/filters"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	genericfilters "k8s.io/apiserver/pkg/server/filters"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// servingEnd is how long a request may take that is under way at the end.
const servingEnd = 2 * time.Second

// newServing are the defaults for a pod: a certificate of its own making, which
// lives in memory, unless files are named.
func newServing() *genericoptions.SecureServingOptions {
	serving := genericoptions.NewSecureServingOptions()
	serving.BindPort = 8443
	serving.Required = true
	serving.ServerCert.CertDirectory, serving.ServerCert.PairName = "", ""
	return serving
}

// server is the controller as probes and collectors of metrics reach it: over
// TLS, and by the host's word on who a caller is and whether it may. Only
// health is for everybody to read, for the kubelet's probes carry no credentials.
type server struct {
	secure         *genericapiserver.SecureServingInfo
	authentication genericapiserver.AuthenticationInfo
	authorization  genericapiserver.AuthorizationInfo
}

// newServer begins to listen. It does not wait for the host, so that a process
// is alive to its probes while the host is away.
func newServer(options *Options, host kubernetes.Interface) (*server, error) {
	s := &server{}
	name := tenancyv1.FieldManagerController + "." + options.Clusters.Namespace + ".svc"
	if err := options.Serving.MaybeDefaultWithSelfSignedCerts(name, nil, nil); err != nil {
		return nil, fmt.Errorf("serving certificate: %w", err)
	}
	if err := options.Serving.ApplyTo(&s.secure); err != nil {
		return nil, fmt.Errorf("serving: %w", err)
	}
	authentication := genericoptions.NewDelegatingAuthenticationOptions()
	authentication.RemoteKubeConfigFile = options.Kubeconfig
	// The library would look up the host's front proxy, too. Nobody comes here
	// through one, so none is believed who says whom it brings.
	authentication.SkipInClusterLookup = true
	callers, err := dynamiccertificates.NewDynamicCAFromConfigMapController("client-ca",
		metav1.NamespaceSystem, "extension-apiserver-authentication", "client-ca-file", host)
	if err != nil {
		return nil, fmt.Errorf("authority of the host's clients: %w", err)
	}
	authentication.ClientCert.CAContentProvider = callers
	if err := authentication.ApplyTo(&s.authentication, s.secure, nil); err != nil {
		return nil, fmt.Errorf("authentication: %w", err)
	}
	authorization := genericoptions.NewDelegatingAuthorizationOptions()
	authorization.RemoteKubeConfigFile = options.Kubeconfig
	if err := authorization.ApplyTo(&s.authorization); err != nil {
		return nil, fmt.Errorf("authorization: %w", err)
	}
	return s, nil
}

// run serves until ctx ends.
func (s *server) run(ctx context.Context, handler http.Handler) error {
	ended, _, err := s.secure.Serve(s.guard(handler), servingEnd, ctx.Done())
	if err != nil {
		return fmt.Errorf("serving: %w", err)
	}
	<-ended
	return nil
}

// guard is the chain of kube-controller-manager.
func (s *server) guard(handler http.Handler) http.Handler {
	paths := &request.RequestInfoFactory{}
	handler = filters.WithAuthorization(handler, s.authorization.Authorizer, scheme.Codecs)
	handler = filters.WithAuthentication(handler, s.authentication.Authenticator, filters.Unauthorized(scheme.Codecs), nil, nil)
	handler = filters.WithRequestInfo(handler, paths)
	handler = filters.WithCacheControl(handler)
	handler = genericfilters.WithHTTPLogging(handler)
	return genericfilters.WithPanicRecovery(handler, paths)
}
