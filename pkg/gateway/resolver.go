// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http"

	apirequest "k8s.io/apiserver/pkg/endpoints/request"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/relay"
)

const resource = "virtualclusters"

// Resolver makes of a marked request what the host is asked about, and what
// audit, priority and fairness see: to get the virtual cluster. Of others it
// makes what next does.
func Resolver(next apirequest.RequestInfoResolver) apirequest.RequestInfoResolver {
	return resolver{next}
}

type resolver struct {
	next apirequest.RequestInfoResolver
}

// NewRequestInfo implements RequestInfoResolver.
func (r resolver) NewRequestInfo(req *http.Request) (*apirequest.RequestInfo, error) {
	entrance, ok := relay.EntranceFrom(req.Context())
	if !ok {
		return r.next.NewRequestInfo(req)
	}
	return &apirequest.RequestInfo{
		IsResourceRequest: true,
		Path:              req.URL.Path,
		Verb:              "get",
		APIPrefix:         "apis",
		APIGroup:          tenancy.GroupName,
		APIVersion:        v1.SchemeGroupVersion.Version,
		Namespace:         entrance.Namespace,
		Resource:          resource,
		Name:              entrance.Name,
		Parts:             []string{resource, entrance.Name},
	}, nil
}
