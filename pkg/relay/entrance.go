// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"

	apirequest "k8s.io/apiserver/pkg/endpoints/request"

	"garret.dev/garret/apis/tenancy"
)

// resource is the resource whose objects are entered.
const resource = "virtualclusters"

// Entrance is where a request comes in: the virtual cluster that the host
// authorised it for, and the part of the path that says so.
type Entrance struct {
	// Namespace and Name are those of the virtual cluster.
	Namespace, Name string
	// Prefix is the path as far as the host authorised it, without a slash at
	// its end. What follows is the path inside.
	Prefix string
	// Subresource is what the host authorised the request to: "proxy", where the
	// method of the request is the verb, or none, where it was get.
	Subresource string
	// UpgradesInside leaves it to the API server inside whether somebody who may
	// not create virtualclusters/proxy may upgrade a connection.
	UpgradesInside bool
}

type entranceKey struct{}

// WithEntrance notes another entrance than virtualclusters/proxy. It is for the
// outermost handler of a server, before the request info is made: only a
// request that was authorised as the entrance says comes in by it.
func WithEntrance(ctx context.Context, entrance Entrance) context.Context {
	return context.WithValue(ctx, entranceKey{}, entrance)
}

// EntranceFrom returns what WithEntrance noted.
func EntranceFrom(ctx context.Context) (Entrance, bool) {
	entrance, ok := ctx.Value(entranceKey{}).(Entrance)
	return entrance, ok
}

// entranceOf is the entrance of a request that the host authorised as info
// says, if it leads into a virtual cluster.
func entranceOf(ctx context.Context, info *apirequest.RequestInfo) (Entrance, bool) {
	if info == nil || !info.IsResourceRequest || info.APIPrefix != "apis" ||
		info.APIGroup != tenancy.GroupName || info.Resource != resource || info.Name == "" {
		return Entrance{}, false
	}
	entrance, ok := EntranceFrom(ctx)
	if !ok {
		entrance = proxyEntrance(info)
	}
	authorised := info.Subresource == entrance.Subresource && info.Namespace == entrance.Namespace && info.Name == entrance.Name
	if entrance.Subresource == "" {
		authorised = authorised && info.Verb == "get"
	}
	return entrance, authorised
}

// proxyEntrance is virtualclusters/proxy. Names of namespaces and virtual
// clusters need no encoding, so there is one spelling of its prefix.
func proxyEntrance(info *apirequest.RequestInfo) Entrance {
	return Entrance{
		Namespace:   info.Namespace,
		Name:        info.Name,
		Prefix:      "/apis/" + info.APIGroup + "/" + info.APIVersion + "/namespaces/" + info.Namespace + "/" + resource + "/" + info.Name + "/proxy",
		Subresource: "proxy",
	}
}
