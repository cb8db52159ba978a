// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/testutil"
	clocktesting "k8s.io/utils/clock/testing"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

func before(ago time.Duration) *metav1.Time {
	t := metav1.NewTime(now.Add(-ago))
	return &t
}

// TestAsleepMessage says since when, why, and what wakes it.
func TestAsleepMessage(t *testing.T) {
	const rest = "; none of its pods run, and all its objects are kept; "
	for reason, want := range map[string]string{
		tenancyv1.SleepReasonPaused:    "spec.paused is true" + rest + "wake it with: garret wake demo -n team",
		tenancyv1.SleepReasonInactive:  "nobody used it for the time in spec.sleep.afterInactivity" + rest + "it wakes at 2026-11-24T07:00:00Z; a request wakes it, and so does: garret wake demo -n team",
		tenancyv1.SleepReasonScheduled: "spec.sleep.schedule asks for it" + rest + "it wakes at 2026-11-24T07:00:00Z; a request or a connection to a Service wakes it, and so does: garret wake demo -n team",
	} {
		vc := object(1)
		vc.Spec.Sleep.WakeSchedule = "0 7 * * *"
		vc.Status.Sleep = &tenancyv1.SleepStatus{Since: before(time.Hour), Reason: reason, Schedule: &tenancyv1.ObservedSchedule{WakeSchedule: "0 7 * * *", Since: before(100 * time.Hour)}}
		if got, want := asleepMessage(vc, reason == tenancyv1.SleepReasonScheduled), "asleep since 2026-11-23T09:00:00Z, because "+want; got != want {
			t.Errorf("%s: got %q, want %q", reason, got, want)
		}
	}
}

// TestAnnouncement has the condition keep the time since which a deletion stands announced.
func TestAnnouncement(t *testing.T) {
	foretold := func(vc *tenancyv1.VirtualCluster, now time.Time) *metav1.Condition {
		want := vc.Status.DeepCopy()
		foretellDeletion(vc, want, now)
		vc.Status = *want
		return meta.FindStatusCondition(want.Conditions, tenancyv1.ConditionDeletionScheduled)
	}
	vc := object(1)
	vc.CreationTimestamp = *before(0)
	if got := foretold(vc, now); got != nil {
		t.Errorf("without the field: got %+v", got)
	}
	vc.Spec.Sleep.DeleteAfterInactivity = &metav1.Duration{Duration: 10 * time.Hour}
	vc.Status.Sleep = &tenancyv1.SleepStatus{UseCountedSince: before(0)}
	if got := foretold(vc, now); got == nil || got.Status != metav1.ConditionFalse || !got.LastTransitionTime.Time.Equal(now) {
		t.Errorf("at first: got %+v", got)
	}
	if got := foretold(vc, now.Add(time.Hour)); !got.LastTransitionTime.Time.Equal(now) {
		t.Errorf("an hour later: got %+v", got)
	}
	due := now.Add(9*time.Hour + time.Minute)
	got := foretold(vc, due.Add(300*time.Millisecond))
	if got.Status != metav1.ConditionTrue || !got.LastTransitionTime.Time.Equal(due) || !strings.Contains(got.Message, "deletes the virtual cluster at 2026-11-23T20:01:00Z, and its data with it, because nobody has used it since 2026-11-23T10:00:00Z") {
		t.Errorf("announced: got %+v", got)
	}
	message := got.Message
	if got = foretold(vc, due.Add(30*time.Minute)); !got.LastTransitionTime.Time.Equal(due) || got.Message != message {
		t.Errorf("half an hour later: got %+v", got)
	}
	vc.Generation++
	if got = foretold(vc, due.Add(30*time.Minute)); !got.LastTransitionTime.Time.Equal(due.Add(30*time.Minute)) || !strings.Contains(got.Message, "deletes the virtual cluster at 2026-11-23T20:31:00Z") {
		t.Errorf("for another spec: got %+v", got)
	}
	vc.Spec.ControlPlane.Storage.WhenDeleted = tenancyv1.RetentionRetain
	if got = foretold(vc, due.Add(30*time.Minute)); !strings.Contains(got.Message, "and keeps its volumes") {
		t.Errorf("with retained data: got %+v", got)
	}
	vc.Spec.DeletionProtection = true
	if got = foretold(vc, due.Add(31*time.Minute)); got.Status != metav1.ConditionFalse || got.Reason != "Protected" {
		t.Errorf("protected: got %+v", got)
	}
}

// TestSleepIsMeasured counts each second of a sleep once, and the time that a wake took.
func TestSleepIsMeasured(t *testing.T) {
	registry := metrics.NewKubeRegistry()
	clock := clocktesting.NewFakeClock(now)
	c := &Controller{Dependencies: Dependencies{Clock: clock, Metrics: NewMetrics(registry.MustRegister)}}
	m := &memory{}
	vc := object(1)
	c.countSleep(vc, m)
	vc.Status.Sleep = &tenancyv1.SleepStatus{Number: 1, Since: before(time.Hour), Reason: tenancyv1.SleepReasonInactive}
	for range 4 {
		c.countSleep(vc, m)
		clock.Step(10 * time.Minute)
	}
	vc.Status.Sleep.Since, vc.Status.Phase, m.woken = nil, tenancyv1.PhaseWaking, clock.Now()
	c.countSleep(vc, m)
	clock.Step(3 * time.Second)
	c.countWake(vc, m, false)
	c.countWake(vc, m, true)
	c.countWake(vc, m, true)
	c.Metrics.woke(tenancyv1.WakeCauseHand)
	want := `
# HELP garret_virtualcluster_asleep_seconds_total [ALPHA] Total time that virtual clusters slept, by the reason for their sleep.
# TYPE garret_virtualcluster_asleep_seconds_total counter
garret_virtualcluster_asleep_seconds_total{reason="Inactive"} 1800
# HELP garret_virtualcluster_wakes_total [ALPHA] Wakes of virtual clusters, by cause.
# TYPE garret_virtualcluster_wakes_total counter
garret_virtualcluster_wakes_total{cause="Hand"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "garret_virtualcluster_asleep_seconds_total", "garret_virtualcluster_wakes_total"); err != nil {
		t.Error(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "garret_virtualcluster_wake_duration_seconds" {
			if got := family.GetMetric()[0].GetHistogram(); got.GetSampleCount() != 1 || got.GetSampleSum() != 3 {
				t.Errorf("got %d wakes of %f s, want one of 3", got.GetSampleCount(), got.GetSampleSum())
			}
			return
		}
	}
	t.Error("no wake was measured")
}

// TestCountUse counts use from when the control plane runs with what counts it.
func TestCountUse(t *testing.T) {
	asks := func(vc *tenancyv1.VirtualCluster) {
		vc.Spec.Sleep.AfterInactivity = &metav1.Duration{Duration: time.Hour}
	}
	ready := func(generation int64) func(*tenancyv1.VirtualCluster) {
		return func(vc *tenancyv1.VirtualCluster) {
			vc.Status.ObservedGeneration = generation
			vc.Status.Conditions = []metav1.Condition{{Type: tenancyv1.ConditionReady, Status: metav1.ConditionTrue}}
		}
	}
	counted := func(vc *tenancyv1.VirtualCluster) {
		vc.Status.Sleep = &tenancyv1.SleepStatus{UseCountedSince: before(time.Hour)}
	}
	asleep := func(vc *tenancyv1.VirtualCluster) {
		vc.Status.Sleep = &tenancyv1.SleepStatus{Number: 1, Since: before(time.Hour)}
	}
	status := func(vc *tenancyv1.VirtualCluster) *tenancyv1.SleepStatus {
		if vc.Status.Sleep == nil {
			vc.Status.Sleep = &tenancyv1.SleepStatus{}
		}
		return vc.Status.Sleep
	}
	sleeping := func(vc *tenancyv1.VirtualCluster) { status(vc).Since = before(time.Minute) }
	waking := func(d time.Duration) func(*tenancyv1.VirtualCluster) {
		return func(vc *tenancyv1.VirtualCluster) {
			vc.Status.Phase = tenancyv1.PhaseWaking
			status(vc).Woken = &tenancyv1.WokenStatus{Time: before(d), Cause: tenancyv1.WakeCauseSchedule}
		}
	}
	type changes []func(*tenancyv1.VirtualCluster)
	for name, test := range map[string]struct {
		changes
		want *metav1.Time
	}{
		"nothing depends on it":        {changes{ready(1)}, nil},
		"not deployed yet":             {changes{asks, ready(0)}, nil},
		"not ready":                    {changes{asks}, nil},
		"deployed":                     {changes{asks, ready(1)}, before(0)},
		"counted already":              {changes{asks, ready(1), counted}, before(time.Hour)},
		"counted, and not ready":       {changes{asks, counted}, nil},
		"counted, and being changed":   {changes{asks, ready(0), counted}, before(time.Hour)},
		"counted, and asleep":          {changes{asks, counted, sleeping}, before(time.Hour)},
		"counted, and waking":          {changes{asks, counted, waking(time.Minute)}, before(time.Hour)},
		"counted, and waking for long": {changes{asks, counted, waking(wakePatience)}, nil},
		"waking, and not counted":      {changes{asks, waking(time.Minute)}, nil},
		"asleep, so nobody uses it":    {changes{asks, asleep}, before(0)},
		"nothing depends on it longer": {changes{ready(1), counted}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			vc := object(1)
			for _, change := range test.changes {
				change(vc)
			}
			want := vc.Status.DeepCopy()
			if want.Sleep == nil {
				want.Sleep = &tenancyv1.SleepStatus{}
			}
			countUse(vc, want, now)
			if got := want.Sleep.UseCountedSince; !got.Equal(test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
