// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/util/dryrun"

	"garret.dev/garret/apis/tenancy"
)

// limit holds the number of virtual clusters on a host cluster to what the
// HostCluster says.
type limit struct {
	hosts rest.Getter
	// count says how many there are now.
	count func(context.Context) (int64, error)
	// turn is had by one create at a time, of all replicas.
	turn interface {
		Take(context.Context) (release func(), err error)
	}
}

// check refuses vc when there is no room for it.
func (l *limit) check(ctx context.Context, vc *tenancy.VirtualCluster) error {
	host, err := l.limiting(ctx, vc)
	if err != nil || host == nil {
		return err
	}
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

// limiting is the host cluster of vc if it has a limit.
func (l *limit) limiting(ctx context.Context, vc *tenancy.VirtualCluster) (*tenancy.HostCluster, error) {
	host, err := hostCluster(ctx, l.hosts, vc)
	if err != nil || host == nil || host.Spec.MaxVirtualClusters == nil {
		return nil, err
	}
	return host, nil
}

// claim is one create's. While there is a limit, the last check and the write
// that follows it are made by one create at a time, so that the limit is never
// exceeded. Everything else, such as the host's webhooks, comes before.
type claim struct {
	limit   *limit
	dryRun  bool
	release func()
}

func (l *limit) claim(dryRun []string) *claim {
	return &claim{limit: l, dryRun: dryrun.IsDryRun(dryRun), release: func() {}}
}

// after returns a validation that claims room once the one given has passed. The
// caller calls end when the object is written, whatever came of it.
func (c *claim) after(validate rest.ValidateObjectFunc) rest.ValidateObjectFunc {
	return func(ctx context.Context, obj runtime.Object) error {
		if validate != nil {
			if err := validate(ctx, obj); err != nil {
				return err
			}
		}
		vc, ok := obj.(*tenancy.VirtualCluster)
		if !ok {
			return apierrors.NewBadRequest(fmt.Sprintf("not a VirtualCluster but a %T", obj))
		}
		host, err := c.limit.limiting(ctx, vc)
		if err != nil || host == nil {
			return err
		}
		// A dry run writes nothing, so it takes nothing.
		if !c.dryRun {
			c.end() // of an earlier try: the store may make several
			release, err := c.limit.turn.Take(ctx)
			if ctx.Err() != nil {
				return apierrors.NewTimeoutError("other virtual clusters are being created: try again", 1)
			}
			if err != nil {
				return err
			}
			c.release = release
		}
		return c.limit.check(ctx, vc)
	}
}

// end lets the next create go on.
func (c *claim) end() {
	c.release()
	c.release = func() {}
}
