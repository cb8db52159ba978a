// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

const (
	// killTime is what the host's kubelet has to stop a pod whose grace period is over.
	killTime = 30 * time.Second
	// leavesAgain is the shortest pause while objects are on their way out, since
	// those that the syncer made are not watched here. A longer wait has longer pauses.
	leavesAgain = 300 * time.Millisecond
	leavesLast  = 10 * time.Second
)

// ending says until when the pods of a virtual cluster that is deleted may run. Tenants
// choose the grace period of a pod, up to many years, and the host's namespace would
// wait for it.
type ending struct {
	// since is when the deletion began.
	now, since time.Time
	// graceful is when the last grace period ends, forced when the host's API forgets
	// what has not ended by then.
	graceful, forced time.Time
}

// endingOf counts from the deletion of the virtual cluster, or of its namespace.
func (c *Controller) endingOf(vc *tenancyv1.VirtualCluster) ending {
	since := c.Clock.Now()
	for _, deleted := range []*metav1.Time{vc.DeletionTimestamp, c.namespaceEnds(vc)} {
		if deleted != nil && deleted.Time.Before(since) {
			since = deleted.Time
		}
	}
	return c.endingSince(since)
}

// endingSince counts from a time of which the status tells.
func (c *Controller) endingSince(since time.Time) ending {
	graceful := since.Add(c.options.TeardownGrace)
	return ending{now: c.Clock.Now(), since: since, graceful: graceful, forced: graceful.Add(killTime)}
}

// namespaceEnds is when somebody deleted the namespace of a virtual cluster; nil for never.
func (c *Controller) namespaceEnds(vc *tenancyv1.VirtualCluster) *metav1.Time {
	space, err := c.watched.namespaces.Get(vc.Namespace)
	if err != nil {
		return nil
	}
	return space.DeletionTimestamp
}

// endNamespace ends the pods of a virtual cluster whose namespace is being deleted. The
// host deletes pods before all else in a namespace, each with its own grace period, and
// the virtual cluster only once they are gone.
func (c *Controller) endNamespace(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory) (time.Duration, error) {
	pods, err := c.made(ctx, vc, podResource())
	if err != nil {
		return 0, err
	}
	if err := c.endPods(ctx, vc, m, pods); err != nil {
		return 0, err
	}
	ending := c.endingOf(vc)
	v := verdict{phase: tenancyv1.PhaseTerminating, reason: reasonNamespaceEnding, message: "the host is deleting the namespace, and creates nothing in it"}
	if len(pods) > 0 {
		left := leftover{}
		left.count("synced pod", len(pods))
		v.message = "the host is deleting the namespace, and waits for " + left.what[0] + ending.describe()
	}
	return ending.again(), c.conclude(ctx, vc, m, v)
}

// grace is the grace period to delete a pod with, in seconds; nil is the pod's own. It
// is false when nothing is to be done for now.
func (e ending) grace(pod *metav1.PartialObjectMetadata) (*int64, bool) {
	switch {
	case !e.now.Before(e.forced):
		return ptr.To[int64](0), true
	case pod.DeletionTimestamp == nil && e.now.Before(e.graceful):
		// What that is tells the host's answer.
		return nil, true
	case pod.DeletionTimestamp == nil:
		return ptr.To[int64](1), true
	case pod.DeletionTimestamp.After(e.graceful) && ptr.Deref(pod.DeletionGracePeriodSeconds, 0) > e.left():
		// It is deleted already, by whomever, and has longer than there is.
		return ptr.To(e.left()), true
	}
	return nil, false
}

// left are the seconds until the last grace period ends. None at all would take a pod
// from the host's API before its containers have stopped.
func (e ending) left() int64 { return max(1, int64(e.graceful.Sub(e.now)/time.Second)) }

// again is the pause before the next look.
func (e ending) again() time.Duration {
	pause := min(max(leavesAgain, e.now.Sub(e.since)/10), leavesLast)
	for _, due := range []time.Time{e.graceful, e.forced} {
		if until := due.Sub(e.now); until > 0 {
			pause = min(pause, until)
		}
	}
	return pause
}

// describe says what happens to pods that do not end.
func (e ending) describe() string {
	if e.now.Before(e.forced) {
		return fmt.Sprintf("; pods may run until %s, and garret-controller deletes them without a grace period at %s",
			e.graceful.UTC().Format(time.RFC3339), e.forced.UTC().Format(time.RFC3339))
	}
	return "; their time ended at " + e.forced.UTC().Format(time.RFC3339)
}

// endPods deletes pods, each with the grace period that it may have.
func (c *Controller) endPods(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory, pods []metav1.PartialObjectMetadata) error {
	return c.endPodsBy(ctx, vc, m, pods, c.endingOf(vc))
}

// endPodsBy deletes pods by another time than that of a deletion.
func (c *Controller) endPodsBy(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory, pods []metav1.PartialObjectMetadata, ending ending) error {
	client := c.Metadata.Resource(corev1.SchemeGroupVersion.WithResource(tenancyv1.ResourcePods)).Namespace(vc.Namespace)
	forced := 0
	for i := range pods {
		pod := &pods[i]
		grace, due := ending.grace(pod)
		if !due {
			continue
		}
		err := client.Delete(ctx, pod.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}, GracePeriodSeconds: grace})
		if tolerable(err) != nil {
			return fmt.Errorf("delete pod %s: %w", pod.Name, err)
		}
		if grace != nil && *grace == 0 {
			klog.FromContext(ctx).Info("Deleted a pod without a grace period", "pod", klog.KObj(pod), "deletedAt", pod.DeletionTimestamp)
			forced++
		}
	}
	if forced > 0 {
		c.sayOnce(vc, m, &m.forced, corev1.EventTypeWarning, reasonPodsForced, fmt.Sprintf(
			"garret-controller deleted %d pods without a grace period: they had not ended after %s, and may still run on a node that does not answer",
			forced, ending.forced.Sub(ending.since)))
	}
	return nil
}
