// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/utils/clock"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/registry/turn"
)

// limit holds the number of virtual clusters on a host cluster to what the
// HostCluster says.
type limit struct {
	hosts rest.Getter
	// clusters are counted where they are stored. The watch cache could tell, too, but
	// each time would wait for it to hear of the turn's own write.
	clusters apistorage.Interface
	// turn is had by one create at a time, of all replicas.
	turn *turn.Turn
}

// newLimit connects to the datastore of store once more; the function ends that.
func newLimit(store *genericregistry.Store, config Config) (*limit, func(), error) {
	options, err := config.RESTOptions.GetRESTOptions(store.DefaultQualifiedResource, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("storage of virtualclusters: %w", err)
	}
	clusters, disconnect, err := generic.NewRawStorage(options.StorageConfig, store.NewFunc, store.NewListFunc, store.KeyRootFunc(context.Background()))
	if err != nil {
		return nil, nil, fmt.Errorf("storage of virtualclusters: %w", err)
	}
	holder, giveUp, err := turn.InDatastore(config.RESTOptions, v1.LocalHostCluster)
	if err != nil {
		disconnect()
		return nil, nil, err
	}
	return &limit{hosts: config.Hosts, clusters: clusters, turn: turn.New(holder, clock.RealClock{})}, func() { disconnect(); giveUp() }, nil
}

// check refuses vc when there is no room for it.
func (l *limit) check(ctx context.Context, vc *tenancy.VirtualCluster) error {
	host, err := l.limiting(ctx, vc)
	if err != nil || host == nil {
		return err
	}
	there, err := l.clusters.Stats(ctx)
	if err != nil {
		return fmt.Errorf("count virtual clusters: %w", err)
	}
	if most := int64(*host.Spec.MaxVirtualClusters); there.ObjectCount >= most {
		return apierrors.NewForbidden(tenancy.Resource("virtualclusters"), vc.Name, fmt.Errorf(
			"the host cluster %s has %d virtual clusters and its limit is %d: delete one, or have spec.maxVirtualClusters of the HostCluster raised",
			host.Name, there.ObjectCount, most))
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

// after returns a validation that has the last word, once the one given has
// passed. While there is a limit, this last check and the write that follows are
// made by one create at a time, so that the limit is never exceeded.
func (l *limit) after(validate rest.ValidateObjectFunc, claim *turn.Claim) rest.ValidateObjectFunc {
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
		host, err := l.limiting(ctx, vc)
		if err != nil || host == nil {
			return err
		}
		return claim.Check(ctx, func() error { return l.check(ctx, vc) })
	}
}
