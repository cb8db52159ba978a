// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
)

// errStalled means that the controller said that it cannot go on by itself.
var errStalled = errors.New("the virtual cluster cannot be brought up")

// watchUntil follows a virtual cluster until reached says so, or returns an error.
// Every state goes to observe. It returns the last state seen, also with an error.
func watchUntil(ctx context.Context, client versioned.Interface, of *tenancyv1.VirtualCluster,
	reached func(*tenancyv1.VirtualCluster) (bool, error), observe func(*tenancyv1.VirtualCluster)) (*tenancyv1.VirtualCluster, error) {
	var last *tenancyv1.VirtualCluster
	_, err := watchtools.UntilWithSync(ctx, listWatch(client, of), &tenancyv1.VirtualCluster{}, nil, func(event watch.Event) (bool, error) {
		current, ok := event.Object.(*tenancyv1.VirtualCluster)
		if !ok {
			return false, nil
		}
		if event.Type == watch.Deleted || current.UID != of.UID {
			return false, fmt.Errorf("virtual cluster %s was deleted meanwhile", of.Name)
		}
		last = current
		observe(current)
		return reached(current)
	})
	return last, err
}

// isReady says whether a virtual cluster is ready. Its error is errStalled where
// waiting on would change nothing.
func isReady(current *tenancyv1.VirtualCluster) (bool, error) {
	if meta.IsStatusConditionTrue(current.Status.Conditions, tenancyv1.ConditionReady) {
		return true, nil
	}
	if stalled := meta.FindStatusCondition(current.Status.Conditions, tenancyv1.ConditionStalled); stalled != nil && stalled.Status == metav1.ConditionTrue {
		return false, fmt.Errorf("%w: %s: %s", errStalled, stalled.Reason, stalled.Message)
	}
	return false, nil
}

// waitGone returns when the very object is no longer there.
func waitGone(ctx context.Context, client versioned.Interface, of *tenancyv1.VirtualCluster, observe func(*tenancyv1.VirtualCluster)) error {
	gone := func(store cache.Store) (bool, error) {
		item, exists, err := store.GetByKey(of.Namespace + "/" + of.Name)
		if err != nil || !exists {
			return !exists, err
		}
		return item.(*tenancyv1.VirtualCluster).UID != of.UID, nil
	}
	_, err := watchtools.UntilWithSync(ctx, listWatch(client, of), &tenancyv1.VirtualCluster{}, gone, func(event watch.Event) (bool, error) {
		current, ok := event.Object.(*tenancyv1.VirtualCluster)
		if !ok {
			return false, nil
		}
		if event.Type == watch.Deleted || current.UID != of.UID {
			return true, nil
		}
		observe(current)
		return false, nil
	})
	return err
}

func listWatch(client versioned.Interface, of *tenancyv1.VirtualCluster) *cache.ListWatch {
	clusters := client.TenancyV1().VirtualClusters(of.Namespace)
	only := fields.OneTermEqualSelector(metav1.ObjectNameField, of.Name).String()
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.FieldSelector = only
			return clusters.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.FieldSelector = only
			return clusters.Watch(ctx, options)
		},
	}
}

// progress writes a line for each state that describe puts differently from the one before.
func progress(out io.Writer, start time.Time, describe func(*tenancyv1.VirtualCluster) string) func(*tenancyv1.VirtualCluster) {
	var before string
	return func(current *tenancyv1.VirtualCluster) {
		if now := describe(current); now != before {
			before = now
			fmt.Fprintf(out, "%8s  %s\n", seconds(time.Since(start)), now)
		}
	}
}

// describe puts a virtual cluster's state into one line.
func describe(cluster *tenancyv1.VirtualCluster) string {
	phase := string(cluster.Status.Phase)
	if cluster.DeletionTimestamp != nil {
		phase = string(tenancyv1.PhaseTerminating)
	}
	ready := meta.FindStatusCondition(cluster.Status.Conditions, tenancyv1.ConditionReady)
	switch {
	case ready == nil || ready.Status == metav1.ConditionTrue:
		return phase
	case ready.Message == "":
		return fmt.Sprintf("%s: %s", phase, ready.Reason)
	default:
		return fmt.Sprintf("%s: %s: %s", phase, ready.Reason, ready.Message)
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1fs", d.Seconds()) }
