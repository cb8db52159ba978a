// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// patch changes the virtual cluster, or a subresource of it.
func (v tenant) patch(body string, subresources ...string) {
	v.t.Helper()
	if _, err := v.clusters().Patch(v.t.Context(), "demo", types.MergePatchType, []byte(body), metav1.PatchOptions{}, subresources...); err != nil {
		v.t.Fatal(err)
	}
}

// until moves the clock to a time.
func (v tenant) until(t time.Time) { v.clock.Push(t.Sub(v.clock.Now())) }

// used has somebody put the virtual cluster to sleep and wake it, which counts as use by the
// clock of garret-controller. The server takes no lastActivityTime that is yet to come by its own.
func (v tenant) used(number int64) {
	v.t.Helper()
	v.patch(`{"spec":{"paused":true}}`)
	v.asleep(number, tenancyv1.SleepReasonPaused)
	v.patch(`{"spec":{"paused":false}}`)
	v.awake(tenancyv1.WakeCauseHand)
}

// asleep waits until nothing of it runs, as the syncer would let it.
func (v tenant) asleep(number int64, reason string) *tenancyv1.VirtualCluster {
	v.t.Helper()
	var found *tenancyv1.VirtualCluster
	framework.Succeeds(v.t, fmt.Sprintf("it is put to sleep %d, %s", number, reason), func(ctx context.Context) (err error) {
		if found, err = v.get(ctx); err == nil && (!found.Status.Asleep() || found.Status.Sleep.Number != number || found.Status.Sleep.Reason != reason) {
			err = fmt.Errorf("got %+v", found.Status.Sleep)
		}
		return err
	})
	v.patch(fmt.Sprintf(`{"status":{"restingFor":%d}}`, number), "status")
	return v.await(tenancyv1.PhaseSleeping, tenancyv1.ReasonAsleep)
}

// awake waits until it was woken for a cause, and is ready.
func (v tenant) awake(cause string) *tenancyv1.VirtualCluster {
	v.t.Helper()
	framework.Succeeds(v.t, "it is woken, cause "+cause, func(ctx context.Context) error {
		vc, err := v.get(ctx)
		if err == nil && (vc.Status.Asleep() || vc.Status.Sleep.Woken == nil || vc.Status.Sleep.Woken.Cause != cause) {
			err = fmt.Errorf("got %+v", vc.Status.Sleep)
		}
		return err
	})
	return v.makeReady()
}

// counts waits until all use is counted.
func (v tenant) counts() {
	v.t.Helper()
	framework.Succeeds(v.t, "use is counted", func(ctx context.Context) error {
		// A new pod counts use: the change of the spec replaced the one before. The test makes it ready.
		if pod, err := shared.kube.CoreV1().Pods(v.ns).Get(ctx, "vc-demo-0", metav1.GetOptions{}); err == nil {
			containersReady(true)(&pod.Status)
			_, _ = shared.kube.CoreV1().Pods(v.ns).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
		}
		vc, err := v.get(ctx)
		if err == nil && (vc.Status.Sleep == nil || vc.Status.Sleep.UseCountedSince == nil) {
			err = fmt.Errorf("got %+v", vc.Status.Sleep)
		}
		return err
	})
}

// leaving waits for a state of the condition DeletionScheduled.
func (v tenant) leaving(status metav1.ConditionStatus, reason string) {
	v.t.Helper()
	framework.Succeeds(v.t, fmt.Sprintf("DeletionScheduled is %s, %s", status, reason), func(ctx context.Context) error {
		vc, err := v.get(ctx)
		if err != nil {
			return err
		}
		condition := meta.FindStatusCondition(vc.Status.Conditions, tenancyv1.ConditionDeletionScheduled)
		if condition == nil || condition.Status != status || condition.Reason != reason || condition.ObservedGeneration != vc.Generation {
			return fmt.Errorf("got %+v", condition)
		}
		return nil
	})
}

// TestClock has a virtual cluster fall asleep, wake and go by the clock alone.
func TestClock(t *testing.T) {
	t.Parallel()
	v := newTenant(t)
	v.create(func(vc *tenancyv1.VirtualCluster) {
		vc.Spec.Sleep.AfterInactivity = &metav1.Duration{Duration: 10 * time.Minute}
	})
	v.makeReady()

	v.counts()
	v.clock.Push(11 * time.Minute)
	vc := v.asleep(1, tenancyv1.SleepReasonInactive)
	if ready := meta.FindStatusCondition(vc.Status.Conditions, tenancyv1.ConditionReady); !strings.Contains(ready.Message, "because nobody used it") || !strings.Contains(ready.Message, "garret wake demo -n "+v.ns) {
		t.Errorf("got %q, want why it sleeps and how to wake it", ready.Message)
	}
	v.patch(`{"status":{"wakeRequest":{"sleep":1,"user":"alice"}}}`, "status")
	if vc = v.awake(tenancyv1.WakeCauseRequest); vc.Status.Sleep.Woken.User != "alice" {
		t.Errorf("got %+v, want who woke it", vc.Status.Sleep.Woken)
	}
	v.event("Woken")

	// Whoever pauses what sleeps already has it sleep through requests.
	v.clock.Push(11 * time.Minute)
	v.asleep(2, tenancyv1.SleepReasonInactive)
	v.patch(`{"spec":{"paused":true}}`)
	v.asleep(2, tenancyv1.SleepReasonPaused)
	v.patch(`{"status":{"wakeRequest":{"sleep":2,"user":"alice"}}}`, "status")
	v.patch(`{"spec":{"paused":false,"sleep":{"afterInactivity":null,"schedule":"0 * * * *","wakeSchedule":"30 * * * *"}}}`)
	v.awake(tenancyv1.WakeCauseHand)

	framework.Succeeds(t, "the schedules are read", func(ctx context.Context) error {
		vc, err := v.get(ctx)
		if err == nil && (vc.Status.Sleep.Schedule == nil || vc.Status.Sleep.Schedule.WakeSchedule != "30 * * * *") {
			err = fmt.Errorf("got %+v", vc.Status.Sleep.Schedule)
		}
		return err
	})
	v.until(v.clock.Now().Truncate(time.Hour).Add(time.Hour))
	v.asleep(3, tenancyv1.SleepReasonScheduled)
	v.patch(`{"metadata":{"annotations":{"tenancy.garret.dev/wake":"3"}}}`)
	v.awake(tenancyv1.WakeCauseHand)
	v.until(v.clock.Now().Truncate(time.Hour).Add(time.Hour))
	v.asleep(4, tenancyv1.SleepReasonScheduled)
	v.until(v.clock.Now().Truncate(time.Hour).Add(90 * time.Minute))
	v.awake(tenancyv1.WakeCauseSchedule)

	v.patch(`{"spec":{"sleep":{"schedule":null,"wakeSchedule":null,"deleteAfterInactivity":"1h"}}}`)
	// Until now, nobody counted use.
	v.counts()
	v.leaving(metav1.ConditionFalse, "Used")
	v.clock.Push(56 * time.Minute)
	v.leaving(metav1.ConditionTrue, "Unused")
	v.event("DeletionScheduled")
	v.used(5)
	v.leaving(metav1.ConditionFalse, "Used")
	v.clock.Push(59 * time.Minute)
	v.leaving(metav1.ConditionTrue, "Unused")
	v.patch(`{"spec":{"deletionProtection":true}}`)
	v.leaving(metav1.ConditionFalse, "Protected")
	v.clock.Push(time.Hour)
	v.patch(`{"spec":{"deletionProtection":false}}`)
	v.leaving(metav1.ConditionTrue, "Unused")
	v.clock.Push(6 * time.Minute)
	framework.Succeeds(t, "nobody used it, and it is gone", func(ctx context.Context) error {
		vc, err := v.get(ctx)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("still there: %v %w", vc.Status.Conditions, err)
	})
	v.event("DeletedUnused")
	expectNothing(t, v.ns)
}

// TestSyncerThatDoesNotRest stops the control plane before its pods.
func TestSyncerThatDoesNotRest(t *testing.T) {
	t.Parallel()
	v := newTenant(t)
	v.create(nil)
	vc := v.makeReady()
	v.slowPod("shop", vc.Status.ClusterID)
	v.patch(`{"spec":{"paused":true}}`)
	v.await(tenancyv1.PhaseSleeping, tenancyv1.ReasonFallingAsleep)
	v.clock.Push(31 * time.Second)
	framework.Succeeds(t, "the control plane is stopped", func(ctx context.Context) error {
		_, err := shared.kube.CoreV1().Pods(v.ns).Get(ctx, "vc-demo-0", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is there: %w", err)
	})
	framework.Succeeds(t, "its pod is evicted, with its own grace period", func(ctx context.Context) error {
		pod, err := shared.kube.CoreV1().Pods(v.ns).Get(ctx, "shop", metav1.GetOptions{})
		if err == nil && pod.DeletionTimestamp == nil {
			err = fmt.Errorf("it runs on")
		}
		return err
	})
	v.clock.Push(teardownGrace + time.Minute)
	v.await(tenancyv1.PhaseSleeping, tenancyv1.ReasonAsleep)
}

// TestBudgetDelaysSleep keeps a pod that a PodDisruptionBudget of the host keeps, for as long as pods may take to end.
func TestBudgetDelaysSleep(t *testing.T) {
	t.Parallel()
	v := newTenant(t)
	v.create(nil)
	vc := v.makeReady()
	v.slowPod("shop", vc.Status.ClusterID)
	pods := shared.kube.CoreV1().Pods(v.ns)
	if _, err := pods.Patch(t.Context(), "shop", types.MergePatchType, []byte(`{"status":{"phase":"Running"}}`), metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	budget := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "keep"}, Spec: policyv1.PodDisruptionBudgetSpec{
		MaxUnavailable: ptr.To(intstr.FromInt32(0)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{tenancyv1.LabelCluster: vc.Status.ClusterID}}}}
	if _, err := shared.kube.PolicyV1().PodDisruptionBudgets(v.ns).Create(t.Context(), budget, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	framework.Succeeds(t, "the budget is looked at", func(ctx context.Context) error {
		found, err := shared.kube.PolicyV1().PodDisruptionBudgets(v.ns).Get(ctx, "keep", metav1.GetOptions{})
		if err == nil && found.Status.ObservedGeneration == 0 {
			err = fmt.Errorf("got %+v", found.Status)
		}
		return err
	})
	v.patch(`{"spec":{"paused":true}}`)
	v.await(tenancyv1.PhaseSleeping, tenancyv1.ReasonFallingAsleep)
	v.patch(`{"status":{"restingFor":1}}`, "status")
	v.event("EvictionRefused")
	framework.Succeeds(t, "the condition names the pod and the budget", func(ctx context.Context) error {
		vc, err := v.get(ctx)
		if err != nil {
			return err
		}
		if ready := meta.FindStatusCondition(vc.Status.Conditions, tenancyv1.ConditionReady); !strings.Contains(ready.Message, "does not evict pod shop") || !strings.Contains(ready.Message, "keep") {
			return fmt.Errorf("got %q", ready.Message)
		}
		return nil
	})
	if pod, err := pods.Get(t.Context(), "shop", metav1.GetOptions{}); err != nil || pod.DeletionTimestamp != nil {
		t.Errorf("got %v, want a pod that runs on", err)
	}
	v.clock.Push(teardownGrace + time.Minute)
	v.await(tenancyv1.PhaseSleeping, tenancyv1.ReasonAsleep)
	if _, err := pods.Get(t.Context(), "shop", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("got %v, want no pod", err)
	}
}

// TestProtection refuses each way to delete a virtual cluster but with its namespace.
func TestProtection(t *testing.T) {
	t.Parallel()
	v := newTenant(t)
	v.create(func(vc *tenancyv1.VirtualCluster) { vc.Spec.DeletionProtection = true })
	refused := func(how string, err error) {
		t.Helper()
		if !apierrors.IsForbidden(err) || !apierrors.HasStatusCause(err, "DeletionProtection") || !strings.Contains(err.Error(), "kubectl patch vc demo -n "+v.ns) {
			t.Errorf("%s: got %v, want Forbidden with the remedy", how, err)
		}
	}
	refused("delete", v.clusters().Delete(t.Context(), "demo", metav1.DeleteOptions{}))
	refused("dry run", v.clusters().Delete(t.Context(), "demo", metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}))
	refused("deletecollection", v.clusters().DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}))
	if vc, err := v.get(t.Context()); err != nil || vc.DeletionTimestamp != nil {
		t.Fatalf("got %v, want it untouched", err)
	}
	if err := shared.kube.CoreV1().Namespaces().Delete(t.Context(), v.ns, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	framework.Succeeds(t, "its namespace takes it along", func(ctx context.Context) error {
		vc, err := v.get(ctx)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is there: %v %w", vc.Status.Conditions, err)
	})
}
