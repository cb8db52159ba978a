// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/relay"
)

// Gateway answers, below v1.GatewayPrefix, the requests that the handler chain
// has let through.
type Gateway struct {
	// Enabled says whether the gateway is open. Closed, it says so.
	Enabled bool
	// Proxy is the subresource that leads into virtual clusters, by its own
	// right; here the right to get the object has opened it.
	Proxy rest.Connecter
	// Admission are the host's policies and webhooks; nil has none.
	Admission admission.Interface
	// Interfaces are what they see objects with.
	Interfaces admission.ObjectInterfaces
	// Serializer encodes errors.
	Serializer runtime.NegotiatedSerializer
}

var _ http.Handler = &Gateway{}

// ServeHTTP carries the request inside.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	inside, err := g.connect(req)
	if err != nil {
		responsewriters.ErrorNegotiated(err, g.Serializer, v1.SchemeGroupVersion, w, req)
		return
	}
	inside.ServeHTTP(w, req)
}

func (g *Gateway) connect(req *http.Request) (http.Handler, error) {
	entrance, ok := relay.EntranceFrom(req.Context())
	switch {
	case !ok:
		return nil, notFound("a virtual cluster is at " + v1.GatewayPath("NAME", "NAMESPACE") + ", spelled without encoding")
	case !g.Enabled:
		return nil, notFound("the gateway is switched off: enter by virtualclusters/proxy through the host's API server, " +
			"or have an administrator set apiserver.gateway.enabled in the values of Garret's chart")
	case !slices.Contains(g.Proxy.ConnectMethods(), req.Method):
		return nil, apierrors.NewMethodNotSupported(tenancy.Resource(resource), req.Method)
	}
	ctx := apirequest.WithNamespace(req.Context(), entrance.Namespace)
	if err := g.admit(ctx, entrance, req); err != nil {
		return nil, err
	}
	return g.Proxy.Connect(ctx, entrance.Name, nil, nil)
}

func notFound(message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound, Message: message,
	}}
}
