// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	applyv1 "garret.dev/garret/generated/applyconfiguration/tenancy/v1"
	"garret.dev/garret/pkg/dormancy"
)

// What a clock does with a virtual cluster; package dormancy decides it.

// sooner is the pause before the next pass, or before a decision changes by itself.
func (c *Controller) sooner(vc *tenancyv1.VirtualCluster, again time.Duration) time.Duration {
	now := c.Clock.Now()
	decision, deletion := dormancy.Decide(vc, now), dormancy.DeletionOf(vc, now)
	if decision.Do != dormancy.Stay || deletion.Stage == dormancy.Due {
		// It came during this pass, or the cache is about to tell what became of it.
		return retryFirst
	}
	for _, due := range []time.Time{decision.Again, deletion.Again} {
		if in := due.Sub(now); !due.IsZero() && (again == 0 || in < again) {
			again = in
		}
	}
	return again
}

// expire deletes a virtual cluster that nobody has used for long enough, as this pass found it: whoever
// uses it at this moment changes it, and keeps it, and so does what the pass wrote about it.
func (c *Controller) expire(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory) (bool, error) {
	d := dormancy.DeletionOf(vc, c.Clock.Now())
	switch {
	case d.Stage == dormancy.Announced && !d.Since.IsZero():
		c.sayOnce(vc, m, &m.leaving, corev1.EventTypeWarning, tenancyv1.ConditionDeletionScheduled, deletionMessage(vc, d))
	case d.Stage == dormancy.Soon && !d.Since.IsZero():
		c.sayOnce(vc, m, &m.leaving, corev1.EventTypeWarning, tenancyv1.ConditionDeletionScheduled, "last notice: "+deletionMessage(vc, d))
	case d.Stage != dormancy.Due:
		c.sayOnce(vc, m, &m.leaving, "", "", "")
	}
	if d.Stage != dormancy.Due {
		return false, nil
	}
	err := c.Tenancy.TenancyV1().VirtualClusters(vc.Namespace).Delete(ctx, vc.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &vc.UID, ResourceVersion: &vc.ResourceVersion}})
	switch {
	case apierrors.IsConflict(err):
		return false, nil
	case err != nil:
		return true, fmt.Errorf("delete the unused virtual cluster: %w", err)
	}
	klog.FromContext(ctx).Info("Deleted an unused virtual cluster", "lastUse", d.LastUse, "announced", d.Since)
	c.Recorder.Event(vc, corev1.EventTypeWarning, reasonUnused, fmt.Sprintf("garret-controller deleted the virtual cluster: nobody has used it since %s, and spec.sleep.deleteAfterInactivity asks for that", d.LastUse.UTC().Format(time.RFC3339)))
	return true, nil
}

// foretell puts into the status what time brings: since when schedules and use count, and a deletion.
func (c *Controller) foretell(vc *tenancyv1.VirtualCluster, want *tenancyv1.VirtualClusterStatus) {
	if vc.DeletionTimestamp != nil {
		return
	}
	now := c.Clock.Now()
	observed := dormancy.Observe(vc, now)
	if want.Sleep == nil {
		want.Sleep = &tenancyv1.SleepStatus{}
	}
	want.Sleep.Schedule = observed
	countUse(vc, want, now)
	if *want.Sleep == (tenancyv1.SleepStatus{}) {
		want.Sleep = nil
	}
	foretellDeletion(vc, want, now)
}

// wakePatience is how long a wake may take before use counts as not counted.
const wakePatience = 5 * time.Minute

// countUse says in the status since when all use is counted: since the control plane runs with
// what counts it. While it sleeps, nobody can use it unseen. While it is awake and not ready, the
// API inside may answer though its syncer reports nothing: then use counts from when it is ready
// again. A wake is no such time, unless it takes long.
func countUse(vc *tenancyv1.VirtualCluster, want *tenancyv1.VirtualClusterStatus, now time.Time) {
	ready := meta.IsStatusConditionTrue(want.Conditions, tenancyv1.ConditionReady)
	deployed := ready && want.ObservedGeneration == vc.Generation
	waking := want.Phase == tenancyv1.PhaseWaking && want.Sleep.Woken != nil && want.Sleep.Woken.Time != nil &&
		now.Sub(want.Sleep.Woken.Time.Time) < wakePatience
	switch {
	case !vc.Spec.Sleep.CountsUse(), !ready && !want.Asleep() && !waking:
		want.Sleep.UseCountedSince = nil
	case want.Sleep.UseCountedSince == nil && (deployed || want.Asleep()):
		since := metav1.NewTime(now)
		want.Sleep.UseCountedSince = &since
	}
}

// foretellDeletion says in the status whether a deletion is announced. The time of this condition
// is that of the announcement, which begins again with every spec.
func foretellDeletion(vc *tenancyv1.VirtualCluster, want *tenancyv1.VirtualClusterStatus, now time.Time) {
	d := dormancy.DeletionOf(vc, now)
	before := meta.FindStatusCondition(vc.Status.Conditions, tenancyv1.ConditionDeletionScheduled)
	condition := metav1.Condition{Type: tenancyv1.ConditionDeletionScheduled, Status: metav1.ConditionFalse, ObservedGeneration: vc.Generation, LastTransitionTime: metav1.NewTime(now.Truncate(time.Second))}
	switch d.Stage {
	case dormancy.NotAsked:
		meta.RemoveStatusCondition(&want.Conditions, condition.Type)
		return
	case dormancy.NotDue:
		condition.Reason = "Used"
		condition.Message = fmt.Sprintf("garret-controller deletes the virtual cluster when nobody has used it for %s", vc.Spec.Sleep.DeleteAfterInactivity.Duration)
		if vc.Spec.DeletionProtection {
			condition.Message += ", and spec.deletionProtection is false"
		}
	case dormancy.Protected:
		condition.Reason = "Protected"
		condition.Message = fmt.Sprintf("nobody has used the virtual cluster since %s: only spec.deletionProtection prevents its deletion", d.LastUse.UTC().Format(time.RFC3339))
	default:
		condition.Status, condition.Reason, condition.Message = metav1.ConditionTrue, "Unused", deletionMessage(vc, d)
	}
	switch {
	case !d.Since.IsZero():
		condition.LastTransitionTime = metav1.NewTime(d.Since)
	case condition.Status == metav1.ConditionFalse && before != nil && before.Status == metav1.ConditionFalse:
		condition.LastTransitionTime = before.LastTransitionTime
	}
	want.Conditions = slices.DeleteFunc(want.Conditions, func(known metav1.Condition) bool { return known.Type == condition.Type })
	want.Conditions = append(want.Conditions, condition)
}

// deletionMessage says when, why, what becomes of the data, and how to prevent it.
func deletionMessage(vc *tenancyv1.VirtualCluster, d dormancy.Deletion) string {
	data := "and its data with it"
	if retains(vc) {
		data = "and keeps its volumes"
	}
	return fmt.Sprintf("garret-controller deletes the virtual cluster at %s, %s, because nobody has used it since %s; to keep it, use it, or run: kubectl patch vc %s -n %s --type=merge -p '{\"spec\":{\"deletionProtection\":true}}'",
		d.At.UTC().Format(time.RFC3339), data, d.LastUse.UTC().Format(time.RFC3339), vc.Name, vc.Namespace)
}

// toldSleep is what the status says of a sleep.
func toldSleep(sleep *tenancyv1.SleepStatus) *applyv1.SleepStatusApplyConfiguration {
	told := applyv1.SleepStatus().WithNumber(sleep.Number)
	if sleep.Since != nil {
		told.WithSince(*sleep.Since).WithReason(sleep.Reason)
	}
	if woken := sleep.Woken; woken != nil && woken.Time != nil {
		by := applyv1.WokenStatus().WithTime(*woken.Time).WithCause(woken.Cause)
		if woken.User != "" {
			by.WithUser(woken.User)
		}
		told.WithWoken(by)
	}
	if sleep.UseCountedSince != nil {
		told.WithUseCountedSince(*sleep.UseCountedSince)
	}
	if read := sleep.Schedule; read != nil && read.Since != nil {
		told.WithSchedule(applyv1.ObservedSchedule().WithSchedule(read.Schedule).WithWakeSchedule(read.WakeSchedule).WithTimeZone(read.TimeZone).WithSince(*read.Since))
	}
	return told
}

// countSleep adds to the metrics what has passed of a sleep. A sleep before this process is not
// counted by it.
func (c *Controller) countSleep(vc *tenancyv1.VirtualCluster, m *memory) {
	now := c.Clock.Now()
	m.Lock()
	defer m.Unlock()
	if !vc.Status.Asleep() {
		m.slept = time.Time{}
		return
	}
	if !m.slept.IsZero() {
		c.Metrics.slept(vc.Status.Sleep.Reason, now.Sub(m.slept))
	}
	m.slept = now
}

// countWake adds to the metrics how long a wake took that has come to its end, if it began here.
func (c *Controller) countWake(vc *tenancyv1.VirtualCluster, m *memory, ready bool) {
	m.Lock()
	defer m.Unlock()
	if !ready || vc.Status.Phase != tenancyv1.PhaseWaking || m.woken.IsZero() {
		return
	}
	c.Metrics.awake(c.Clock.Since(m.woken))
	m.woken = time.Time{}
}
