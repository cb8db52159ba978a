// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/registry/rest"

	"garret.dev/garret/apis/tenancy"
)

// limit holds the number of virtual clusters on a host cluster to what the
// HostCluster says. While there is a limit, they are created one after the other,
// so that within one process it is never exceeded; several replicas of
// garret-apiserver can exceed it by one each.
type limit struct {
	hosts rest.Getter
	// count says how many there are now.
	count func(context.Context) (int64, error)
	// turn holds one token, which whoever creates takes.
	turn chan struct{}
}

func newLimit(hosts rest.Getter, count func(context.Context) (int64, error)) *limit {
	return &limit{hosts: hosts, count: count, turn: make(chan struct{}, 1)}
}

// admit refuses vc when there is no room for it. Otherwise the caller creates
// it and calls release, whatever came of it.
func (l *limit) admit(ctx context.Context, vc *tenancy.VirtualCluster) (release func(), err error) {
	free := func() {}
	host, err := hostCluster(ctx, l.hosts, vc)
	if err != nil || host == nil || host.Spec.MaxVirtualClusters == nil {
		return free, err
	}
	select {
	case l.turn <- struct{}{}:
		free = func() { <-l.turn }
	case <-ctx.Done():
		return free, apierrors.NewTimeoutError("other virtual clusters are being created: try again", 1)
	}
	// Again, since it may have been changed while we waited.
	if host, err = hostCluster(ctx, l.hosts, vc); err == nil && host != nil && host.Spec.MaxVirtualClusters != nil {
		err = l.check(ctx, vc, host)
	}
	if err != nil {
		free()
		return func() {}, err
	}
	return free, nil
}

func (l *limit) check(ctx context.Context, vc *tenancy.VirtualCluster, host *tenancy.HostCluster) error {
	count, err := l.count(ctx)
	if err != nil {
		return fmt.Errorf("count virtual clusters: %w", err)
	}
	if most := int64(*host.Spec.MaxVirtualClusters); count >= most {
		return apierrors.NewForbidden(tenancy.Resource("virtualclusters"), vc.Name, fmt.Errorf(
			"the host cluster %s has %d virtual clusters and its limit is %d: delete one, or have spec.maxVirtualClusters of the HostCluster raised",
			host.Name, count, most))
	}
	return nil
}
