// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"

	"k8s.io/apiserver/pkg/authentication/user"

	"garret.dev/garret/apis/tenancy"
	"garret.dev/garret/apis/tenancy/ignore"
	"garret.dev/garret/pkg/activity"
	"garret.dev/garret/pkg/relay"
	"garret.dev/garret/pkg/wake"
)

// attendant notes who uses virtual clusters, and wakes them. What it is made of needs the
// storage, which is made after those who ask it.
type attendant struct {
	*activity.Recorder
	*wake.Waker
}

var _ relay.Attendant = &attendant{}

// forKubeconfig wakes a virtual cluster for somebody who asks for a kubeconfig: that is
// use, as a request inside is.
func (a *attendant) forKubeconfig(ctx context.Context, cluster *tenancy.VirtualCluster, host user.Info) (*tenancy.VirtualCluster, error) {
	if relay.Ignores(&cluster.Spec.Sleep, ignore.Use{User: host.GetName(), Groups: host.GetGroups(), Verb: "create"}) {
		return cluster, nil
	}
	a.Seen(cluster)
	if !wake.Holds(cluster) {
		return cluster, nil
	}
	return a.Awake(ctx, cluster, host.GetName(), wake.Ready)
}
