// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	clientv1 "garret.dev/garret/generated/clientset/versioned/typed/tenancy/v1"
	"garret.dev/garret/syncer/translate"
)

// writer applies states to the VirtualCluster.
type writer struct {
	cluster translate.Cluster
	client  clientv1.TenancyV1Interface
	clock   clock.PassiveClock
	// before are the conditions as they stand, nil until they were read.
	before []metav1.Condition
}

func (w *writer) write(ctx context.Context, now state) error {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	if w.before == nil {
		if err := w.read(ctx); err != nil {
			return err
		}
	}
	result, err := w.client.VirtualClusters(w.cluster.HostNamespace).ApplyStatus(ctx, w.configuration(now),
		metav1.ApplyOptions{FieldManager: tenancyv1.FieldManagerSyncer, Force: true})
	if err != nil {
		return fmt.Errorf("status of virtual cluster %s/%s: %w", w.cluster.HostNamespace, w.cluster.Name, err)
	}
	w.before = conditionsOf(result)
	return nil
}

// read finds out since when conditions have been as they are: a restarted syncer
// goes on where the last one stopped.
func (w *writer) read(ctx context.Context) error {
	found := &tenancyv1.VirtualCluster{}
	err := w.client.RESTClient().Get().Namespace(w.cluster.HostNamespace).Resource("virtualclusters").
		Name(w.cluster.Name).SubResource("status").Do(ctx).Into(found)
	if err != nil && !apierrors.IsForbidden(err) {
		return fmt.Errorf("read virtual cluster %s/%s: %w", w.cluster.HostNamespace, w.cluster.Name, err)
	}
	w.before = sinceWoken(found)
	return nil
}

// sinceWoken leaves out that control plane and syncer were ready before a sleep: neither was
// during it. garret-controller takes a report that is younger than the pod for the probes that
// the kubelet makes only seconds later.
func sinceWoken(cluster *tenancyv1.VirtualCluster) []metav1.Condition {
	conditions := conditionsOf(cluster)
	sleep := cluster.Status.Sleep
	if sleep == nil || sleep.Woken == nil || sleep.Woken.Time == nil {
		return conditions
	}
	return slices.DeleteFunc(conditions, func(c metav1.Condition) bool {
		ready := c.Type == tenancyv1.ConditionControlPlaneReady || c.Type == tenancyv1.ConditionSyncerReady
		return ready && c.LastTransitionTime.Before(sleep.Woken.Time)
	})
}

func conditionsOf(cluster *tenancyv1.VirtualCluster) []metav1.Condition {
	return append([]metav1.Condition{}, cluster.Status.Conditions...)
}
