// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/dormancy"
)

// A virtual cluster falls asleep in this order, and every pass finds out again how far
// it is, from the objects of the host alone:
//
//  1. status.sleep says so. The syncer stops carrying pods, so that what is stopped is
//     not made again, and reports it as status.restingFor.
//  2. The record on the host names the pods. Then they are evicted.
//  3. The control plane is scaled to zero.
//
// A syncer that says nothing for restPatience does not work. Then the control plane goes
// before the pods, because a syncer that does not run makes nothing either.

// restPatience is how long a syncer may take to stop carrying pods.
const restPatience = 30 * time.Second

// sleep puts the virtual cluster to sleep, keeps it asleep, or wakes it, and returns
// whether the pass ends here.
func (c *Controller) sleep(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory) (time.Duration, bool, error) {
	c.countSleep(vc, m)
	decision := c.decide(vc, m)
	switch decision.Do {
	case dormancy.Wake:
		return 0, true, c.wake(ctx, vc, m, decision)
	case dormancy.Sleep:
		return 0, true, c.beginSleep(ctx, vc, m, decision.Reason)
	case dormancy.Pause:
		return 0, true, c.keepAsleep(ctx, vc, decision.Reason)
	}
	if !vc.Status.Asleep() {
		return 0, false, c.activator.Awake(ctx, vc)
	}
	again, err := c.fallAsleep(ctx, vc, m)
	if err != nil {
		return 0, true, fmt.Errorf("fall asleep: %w", err)
	}
	return again, true, nil
}

// beginSleep tells everybody. The change of the status leads to the next pass. It is refused
// where somebody used the virtual cluster since the decision.
func (c *Controller) beginSleep(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory, reason string) error {
	now := metav1.NewTime(c.Clock.Now())
	changed := vc.DeepCopy()
	if changed.Status.Sleep == nil {
		changed.Status.Sleep = &tenancyv1.SleepStatus{}
	}
	sleep := changed.Status.Sleep
	sleep.Number, sleep.Since, sleep.Reason = sleep.Number+1, &now, reason
	klog.FromContext(ctx).Info("Falling asleep", "reason", reason)
	return c.concludeSleep(ctx, vc, changed, m, fallingAsleep("the syncer is about to stop syncing pods"))
}

// keepAsleep changes why the virtual cluster sleeps.
func (c *Controller) keepAsleep(ctx context.Context, vc *tenancyv1.VirtualCluster, reason string) error {
	want := vc.Status.DeepCopy()
	want.Sleep.Reason = reason
	if err := c.replaceStatus(ctx, vc, want); err != nil {
		return fmt.Errorf("status: %w", err)
	}
	return nil
}

// wake lets the syncer, and the control plane, run again.
func (c *Controller) wake(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory, decision dormancy.Decision) error {
	// What still runs on the host was not put to sleep.
	pods, err := c.made(ctx, vc, podResource())
	if err != nil {
		return err
	}
	if err := c.forgetRunning(ctx, vc, pods); err != nil {
		return err
	}
	changed := vc.DeepCopy()
	sleep, now := changed.Status.Sleep, metav1.NewTime(c.Clock.Now())
	sleep.Since, sleep.Reason = nil, ""
	sleep.Woken = &tenancyv1.WokenStatus{Time: &now, Cause: decision.Cause, User: decision.User}
	slept := now.Sub(vc.Status.Sleep.Since.Time).Round(time.Second)
	klog.FromContext(ctx).Info("Waking", "asleepFor", slept, "cause", decision.Cause)
	v := verdict{phase: tenancyv1.PhaseWaking, reason: reasonWaking, message: "the host is starting the control plane again"}
	if err := c.concludeSleep(ctx, vc, changed, m, v); err != nil {
		return err
	}
	m.Lock()
	m.woken = now.Time
	m.Unlock()
	c.Metrics.woke(decision.Cause)
	c.Recorder.Event(vc, corev1.EventTypeNormal, reasonWoken, fmt.Sprintf("the virtual cluster woke %s after it had slept for %s", wokenBy(decision), slept))
	return nil
}

// wokenBy says what woke it.
func wokenBy(decision dormancy.Decision) string {
	switch {
	case decision.Cause == tenancyv1.WakeCauseSchedule:
		return "by spec.sleep.wakeSchedule"
	case decision.Cause == tenancyv1.WakeCauseHand:
		return "by hand"
	case decision.Cause == tenancyv1.WakeCauseTraffic:
		return "by a connection to one of its Services"
	case decision.User != "":
		return "by a request of " + decision.User
	}
	return "by a request"
}

// fallAsleep takes the next step, and says what it waits for.
func (c *Controller) fallAsleep(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory) (time.Duration, error) {
	stopped, err := c.isStopped(ctx, vc)
	if err != nil {
		return 0, err
	}
	resting := vc.Status.RestingFor == vc.Status.Sleep.Number
	if patience := restPatience - c.Clock.Since(vc.Status.Sleep.Since.Time); !resting && !stopped && vc.Status.Release != nil && patience > 0 {
		v := fallingAsleep("the syncer is about to stop syncing pods")
		return min(patience, lookAgain), c.concludeSleep(ctx, vc, vc, m, v)
	}
	if resting || stopped {
		waiting, err := c.stopPods(ctx, vc, m)
		if err != nil {
			return 0, err
		}
		if waiting != "" {
			return c.endingSince(vc.Status.Sleep.Since.Time).again(), c.concludeSleep(ctx, vc, vc, m, fallingAsleep(waiting))
		}
	}
	seen, err := c.deploy(ctx, vc, m)
	if err != nil {
		found := deployTrouble(err)
		v := fallingAsleep("garret-controller cannot stop the control plane: " + found.Error())
		v.stalled = found.final
		if failed := c.concludeSleep(ctx, vc, vc, m, v); failed != nil {
			return 0, failed
		}
		return 0, err
	}
	if stopped, err = c.isStopped(ctx, vc); err != nil {
		return 0, err
	}
	if !stopped {
		return lookAgain, c.concludeSleep(ctx, vc, vc, m, fallingAsleep("the host is stopping the control plane"))
	}
	return c.asleep(ctx, vc, m, seen)
}

// asleep is a pass over a virtual cluster of which nothing is left to run.
func (c *Controller) asleep(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory, seen observation) (time.Duration, error) {
	// A syncer that did not answer may have made pods to its very end.
	waiting, err := c.stopPods(ctx, vc, m)
	if err == nil && waiting == "" {
		err = c.clearEndpoints(ctx, vc)
	}
	if err != nil {
		return 0, err
	}
	if waiting != "" {
		return c.endingSince(vc.Status.Sleep.Since.Time).again(), c.concludeSleep(ctx, vc, vc, m, fallingAsleep(waiting))
	}
	again := compareEvery
	if err := c.guard(ctx, vc, m); err != nil {
		// It sleeps all the same, and requests wake it.
		klog.FromContext(ctx).Error(err, "Connections do not wake the virtual cluster")
		again = hopeAgain
	}
	changed := vc.DeepCopy()
	if seen.found {
		changed.Status.Services = seen.services
	}
	if seen.clusterIP != "" {
		changed.Status.Endpoint = endpoint(seen.clusterIP)
	}
	if seen.release.Revision > 0 {
		changed.Status.Release = &tenancyv1.ReleaseStatus{Name: tenancyv1.ReleaseName(vc.Name), Revision: int64(seen.release.Revision), ChartVersion: seen.release.ChartVersion}
	}
	v := verdict{phase: tenancyv1.PhaseSleeping, asleep: true, reason: tenancyv1.ReasonAsleep, message: asleepMessage(vc, c.wakesOnTraffic(vc))}
	return again, c.concludeSleep(ctx, vc, changed, m, v)
}

// asleepMessage says since when, why, and how to wake it. Connections wake it if traffic is true.
func asleepMessage(vc *tenancyv1.VirtualCluster, traffic bool) string {
	sleep := vc.Status.Sleep
	why := "spec.paused is true"
	byHand := fmt.Sprintf("garret wake %s -n %s", vc.Name, vc.Namespace)
	wake := "wake it with: " + byHand
	switch sleep.Reason {
	case tenancyv1.SleepReasonInactive:
		why = "nobody used it for the time in spec.sleep.afterInactivity"
	case tenancyv1.SleepReasonScheduled:
		why = "spec.sleep.schedule asks for it"
	}
	if sleep.Reason != tenancyv1.SleepReasonPaused {
		wake = "a request wakes it, and so does: " + byHand
		if traffic {
			wake = "a request or a connection to a Service wakes it, and so does: " + byHand
		}
		if at := dormancy.WakesAt(vc); !at.IsZero() {
			wake = "it wakes at " + at.UTC().Format(time.RFC3339) + "; " + wake
		}
	}
	return fmt.Sprintf("asleep since %s, because %s; none of its pods run, and all its objects are kept; %s",
		sleep.Since.UTC().Format(time.RFC3339), why, wake)
}

func fallingAsleep(waiting string) verdict {
	return verdict{phase: tenancyv1.PhaseSleeping, reason: tenancyv1.ReasonFallingAsleep, message: "falling asleep: " + waiting}
}

// concludeSleep writes the status of an object that is about to sleep, sleeps, or wakes.
func (c *Controller) concludeSleep(ctx context.Context, vc, changed *tenancyv1.VirtualCluster, m *memory, v verdict) error {
	want := changed.Status.DeepCopy()
	now := metav1.NewTime(c.Clock.Now())
	v.apply(want, vc.Generation, now)
	want.ObservedGeneration = vc.Generation
	apply := c.applyStatus
	if vc.Status.Asleep() != want.Asleep() {
		// The decision is about what is stored, and nothing older.
		apply = c.replaceStatus
	}
	if err := apply(ctx, vc, want); err != nil {
		return fmt.Errorf("status: %w", err)
	}
	c.announce(vc, m, v)
	return nil
}

// sleepCondition is the condition Asleep of a virtual cluster that slept before, or is to.
func (v verdict) sleepCondition(status *tenancyv1.VirtualClusterStatus, generation int64, now metav1.Time) {
	if status.Sleep == nil || status.Sleep.Number == 0 {
		return
	}
	condition := metav1.Condition{Type: tenancyv1.ConditionAsleep, Status: metav1.ConditionFalse, Reason: tenancyv1.ReasonAwake, ObservedGeneration: generation, LastTransitionTime: now}
	switch {
	case v.asleep:
		condition.Status, condition.Reason, condition.Message = metav1.ConditionTrue, tenancyv1.ReasonAsleep, v.message
	case v.phase == tenancyv1.PhaseSleeping:
		condition.Reason, condition.Message = tenancyv1.ReasonFallingAsleep, v.message
	}
	meta.SetStatusCondition(&status.Conditions, condition)
}

// isStopped says whether the control plane is at zero, and its pod gone.
func (c *Controller) isStopped(ctx context.Context, vc *tenancyv1.VirtualCluster) (bool, error) {
	set, err := c.Host.AppsV1().StatefulSets(vc.Namespace).Get(ctx, tenancyv1.ReleaseName(vc.Name), metav1.GetOptions{})
	if err != nil {
		// Where there is none, one is about to be deployed.
		return false, ignoreNotFound(err)
	}
	if ptr.Deref(set.Spec.Replicas, 1) != 0 {
		return false, nil
	}
	pods, err := c.released(ctx, vc, podResource(), podName(vc))
	return err == nil && len(pods) == 0, err
}

// clearEndpoints deletes the slices that the syncer made: they name addresses of pods
// that are gone, and the host gives those to others. The syncer makes them again.
func (c *Controller) clearEndpoints(ctx context.Context, vc *tenancyv1.VirtualCluster) error {
	resource := schema.GroupVersionResource{Group: "discovery.k8s.io", Version: "v1", Resource: tenancyv1.ResourceEndpointSlices}
	slices, err := c.made(ctx, vc, resource)
	if err != nil {
		return err
	}
	return c.deleteAll(ctx, vc, resource, slices)
}

// stopPods stops what the syncer made, and says what it waits for; nothing is left when
// that is empty.
func (c *Controller) stopPods(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory) (string, error) {
	pods, err := c.made(ctx, vc, podResource())
	if err != nil || len(pods) == 0 {
		return "", err
	}
	if err := c.recordPods(ctx, vc, pods); err != nil {
		return "", err
	}
	refused, err := c.evict(ctx, vc, m, pods)
	if err != nil {
		return "", err
	}
	left := leftover{}
	left.count("synced pod", len(pods))
	waiting := "the host stops " + left.what[0] + c.endingSince(vc.Status.Sleep.Since.Time).describe()
	if len(refused) > 0 {
		waiting = strings.Join(refused, "; ") + "; " + waiting
		c.sayOnce(vc, m, &m.budget, corev1.EventTypeWarning, reasonBudget, strings.Join(refused, "; "))
	}
	return waiting, nil
}
