// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	"garret.dev/garret/apis/tenancy"
)

// Relay carries requests inside; package relay has the real one.
type Relay interface {
	// Handler answers requests to the subresource proxy of cluster.
	Handler(cluster *tenancy.VirtualCluster) http.Handler
}

// ProxyREST serves virtualclusters/proxy.
type ProxyREST struct {
	clusters rest.Getter
	relay    Relay
}

var _ rest.Connecter = &ProxyREST{}

// New returns the kind that options of a request are decoded into.
func (*ProxyREST) New() runtime.Object { return &tenancy.VirtualClusterProxyOptions{} }

// Destroy has nothing to end.
func (*ProxyREST) Destroy() {}

// ConnectMethods are those that the host has a verb for. OPTIONS has none, so
// it could not be authorised.
func (*ProxyREST) ConnectMethods() []string {
	return []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
}

// NewConnectOptions has the path inside decoded as an option, for admission to see.
func (*ProxyREST) NewConnectOptions() (runtime.Object, bool, string) {
	return &tenancy.VirtualClusterProxyOptions{}, true, "path"
}

// Connect answers with the handler that carries the request inside. The object
// comes from the watch cache, since this happens on every request of every
// client inside; what the cache does not know is looked up, so that a virtual
// cluster can be entered the moment it exists.
func (r *ProxyREST) Connect(ctx context.Context, name string, _ runtime.Object, _ rest.Responder) (http.Handler, error) {
	vc, err := cluster(ctx, r.clusters, name, "0")
	if apierrors.IsNotFound(err) {
		vc, err = cluster(ctx, r.clusters, name, "")
	}
	if err != nil {
		return nil, err
	}
	return r.relay.Handler(vc), nil
}
