// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

const (
	resource         = "virtualclusters"
	subresourceProxy = "proxy"
)

// Gate decides as whom a host user enters through the relay.
type Gate struct {
	authorizer authorizer.UnconditionalAuthorizer
}

// NewGate asks authorizer about host users. The authorizer should cache, as
// the delegating one of an API server does: it is asked on every request.
func NewGate(authorizer authorizer.UnconditionalAuthorizer) *Gate {
	return &Gate{authorizer: authorizer}
}

// Enter tells who the host user is inside. That a user may enter at all, with
// the verb of their request, was decided before; what is decided here is
// whether they may change things inside, and that those who may not cannot
// upgrade a connection either: an exec over a WebSocket is only a GET to the
// host.
//
// Errors are API errors.
func (g *Gate) Enter(ctx context.Context, host user.Info, cluster *tenancy.VirtualCluster, upgrade bool) (Identity, error) {
	decision, reason, err := g.authorizer.Authorize(ctx, authorizer.AttributesRecord{
		User:            host,
		Verb:            "create",
		Namespace:       cluster.Namespace,
		APIGroup:        tenancy.GroupName,
		APIVersion:      v1.SchemeGroupVersion.Version,
		Resource:        resource,
		Subresource:     subresourceProxy,
		Name:            cluster.Name,
		ResourceRequest: true,
	})
	allowed := decision == authorizer.DecisionAllow
	if err != nil && !allowed {
		return Identity{}, apierrors.NewInternalError(fmt.Errorf("whether user %q may create virtualclusters/proxy of %s/%s: %w", host.GetName(), cluster.Namespace, cluster.Name, err))
	}
	if upgrade && !allowed {
		message := fmt.Sprintf("user %q cannot create resource \"virtualclusters/proxy\" in API group %q in the namespace %q, which an upgraded connection needs", host.GetName(), tenancy.GroupName, cluster.Namespace)
		if reason != "" {
			message += ": " + reason
		}
		return Identity{}, apierrors.NewForbidden(tenancy.Resource(resource), cluster.Name, fmt.Errorf("%s", message))
	}
	group := v1.GroupViewers
	if allowed {
		group = v1.GroupAdmins
	}
	identity, err := Inside(host, group)
	if err != nil {
		return Identity{}, apierrors.NewForbidden(tenancy.Resource(resource), cluster.Name, err)
	}
	return identity, nil
}
