// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"net/http"
	"strings"

	"k8s.io/apiserver/pkg/admission"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/relay"
)

// subresource is what the host's policies and webhooks know entering as.
const subresource = "proxy"

// admit asks the host's policies and webhooks what virtualclusters/proxy asks them,
// in the same words: a policy by which somebody may not CONNECT is about the virtual
// cluster, not about one of the doors to it.
func (g *Gateway) admit(ctx context.Context, entrance relay.Entrance, req *http.Request) error {
	chain := admission.WithAudit(g.Admission)
	if chain == nil || !chain.Handles(admission.Connect) {
		return nil
	}
	caller, _ := apirequest.UserFrom(ctx)
	// As the API handler has it, whose path inside has no slash at its ends.
	options := &tenancy.VirtualClusterProxyOptions{Path: strings.Trim(strings.TrimPrefix(req.URL.Path, entrance.Prefix), "/")}
	// Each half gets attributes of its own, since annotations are kept in them.
	attributes := func() admission.Attributes {
		return admission.NewAttributesRecord(options, nil, v1.SchemeGroupVersion.WithKind("VirtualClusterProxyOptions"),
			entrance.Namespace, entrance.Name, v1.SchemeGroupVersion.WithResource(resource), subresource,
			admission.Connect, nil, false, caller)
	}
	if mutating, ok := chain.(admission.MutationInterface); ok {
		if err := mutating.Admit(ctx, attributes(), g.Interfaces); err != nil {
			return err
		}
	}
	if validating, ok := chain.(admission.ValidationInterface); ok {
		return validating.Validate(ctx, attributes(), g.Interfaces)
	}
	return nil
}
