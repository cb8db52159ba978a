// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// now has no fraction, as times in the API have none.
var now = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func object(generation int64, conditions ...metav1.Condition) *tenancyv1.VirtualCluster {
	return &tenancyv1.VirtualCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "demo", UID: "u", Generation: generation},
		Spec:       tenancyv1.VirtualClusterSpec{HostClusterRef: tenancyv1.HostClusterReference{Name: tenancyv1.LocalHostCluster}},
		Status:     tenancyv1.VirtualClusterStatus{Conditions: conditions},
	}
}

func condition(kind string, is bool, generation int64, ago time.Duration) metav1.Condition {
	status := metav1.ConditionFalse
	if is {
		status = metav1.ConditionTrue
	}
	return metav1.Condition{Type: kind, Status: status, Reason: "R", ObservedGeneration: generation, LastTransitionTime: metav1.NewTime(now.Add(-ago))}
}

func TestJudge(t *testing.T) {
	crash := &trouble{Reason: "CrashLoopBackOff", Message: "m"}
	starting := &trouble{Reason: reasonStarting, Message: "m", progress: true}
	wrong := &trouble{Reason: reasonInvalidValues, Message: "m", final: true}
	working := func(ago time.Duration) metav1.Condition {
		return condition(tenancyv1.ConditionReconciling, true, 2, ago)
	}
	tests := []struct {
		name       string
		found      *trouble
		before     []metav1.Condition
		wantPhase  tenancyv1.Phase
		wantReason string
		wantIn     time.Duration
	}{
		{"no trouble", nil, nil, tenancyv1.PhaseReady, reasonReady, 0},
		{"new trouble", crash, nil, tenancyv1.PhaseDeploying, "CrashLoopBackOff", 2 * time.Minute},
		{"trouble for a while", crash, []metav1.Condition{working(time.Minute)}, tenancyv1.PhaseDeploying, "CrashLoopBackOff", time.Minute},
		{"trouble that lasts", crash, []metav1.Condition{working(2 * time.Minute)}, tenancyv1.PhaseFailed, "CrashLoopBackOff", 0},
		{"trouble of an earlier spec", crash, []metav1.Condition{condition(tenancyv1.ConditionReconciling, true, 1, time.Hour)}, tenancyv1.PhaseDeploying, "CrashLoopBackOff", 2 * time.Minute},
		{"failed, and still", crash, []metav1.Condition{condition(tenancyv1.ConditionStalled, true, 2, time.Second)}, tenancyv1.PhaseFailed, "CrashLoopBackOff", 0},
		{"failed, and going on", starting, []metav1.Condition{condition(tenancyv1.ConditionStalled, true, 2, time.Second)}, tenancyv1.PhaseDeploying, reasonStarting, tooLong - time.Second},
		{"progress is patient", starting, []metav1.Condition{working(3 * time.Minute)}, tenancyv1.PhaseDeploying, reasonStarting, 7 * time.Minute},
		{"but not for ever", starting, []metav1.Condition{working(tooLong)}, tenancyv1.PhaseFailed, reasonTooLong, 0},
		{"nothing to wait for", wrong, nil, tenancyv1.PhaseFailed, reasonInvalidValues, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := &Controller{Dependencies: Dependencies{Clock: clocktesting.NewFakeClock(now)}, options: Options{StallAfter: 2 * time.Minute}}
			got, in := c.judge(object(2, test.before...), test.found)
			if got.phase != test.wantPhase || got.reason != test.wantReason || in != test.wantIn {
				t.Errorf("got %s %s in %s, want %s %s in %s", got.phase, got.reason, in, test.wantPhase, test.wantReason, test.wantIn)
			}
			if got.ready != (got.phase == tenancyv1.PhaseReady) || got.stalled != (got.phase == tenancyv1.PhaseFailed) {
				t.Errorf("phase %s with ready %t, stalled %t", got.phase, got.ready, got.stalled)
			}
		})
	}
}

func TestVerdictConditions(t *testing.T) {
	tests := []struct {
		name    string
		verdict verdict
		want    map[string]metav1.ConditionStatus
	}{
		{"ready", verdict{phase: tenancyv1.PhaseReady, ready: true, reason: "Ready"}, map[string]metav1.ConditionStatus{"Ready": "True", "Reconciling": "False", "Stalled": "False"}},
		{"deploying", verdict{phase: tenancyv1.PhaseDeploying, reason: "Starting"}, map[string]metav1.ConditionStatus{"Ready": "False", "Reconciling": "True", "Stalled": "False"}},
		{"failed", verdict{phase: tenancyv1.PhaseFailed, stalled: true, reason: "Bad"}, map[string]metav1.ConditionStatus{"Ready": "False", "Reconciling": "False", "Stalled": "True"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			status := &tenancyv1.VirtualClusterStatus{Conditions: []metav1.Condition{condition(tenancyv1.ConditionSyncerReady, true, 0, time.Hour)}}
			test.verdict.apply(status, 3, metav1.NewTime(now))
			for kind, want := range test.want {
				got := meta.FindStatusCondition(status.Conditions, kind)
				if got == nil || got.Status != want || got.ObservedGeneration != 3 || got.Reason == "" {
					t.Errorf("%s: got %v, want %s at generation 3 with a reason", kind, got, want)
				}
			}
			if syncers := meta.FindStatusCondition(status.Conditions, tenancyv1.ConditionSyncerReady); syncers == nil || syncers.ObservedGeneration != 0 {
				t.Errorf("the syncer's condition was touched: %v", syncers)
			}
		})
	}
}

func TestTransitionTimes(t *testing.T) {
	hour := metav1.NewTime(now.Add(-time.Hour))
	tests := []struct {
		name   string
		before metav1.Condition
		kind   string
		want   metav1.Time
	}{
		{"same status", condition(tenancyv1.ConditionReconciling, true, 3, time.Hour), tenancyv1.ConditionReconciling, hour},
		{"other status", condition(tenancyv1.ConditionReconciling, false, 3, time.Hour), tenancyv1.ConditionReconciling, metav1.NewTime(now)},
		{"a new spec starts anew", condition(tenancyv1.ConditionReconciling, true, 2, time.Hour), tenancyv1.ConditionReconciling, metav1.NewTime(now)},
		{"not ready, whatever the spec", condition(tenancyv1.ConditionReady, false, 2, time.Hour), tenancyv1.ConditionReady, hour},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			status := &tenancyv1.VirtualClusterStatus{Conditions: []metav1.Condition{test.before}}
			verdict{phase: tenancyv1.PhaseDeploying, reason: "R", message: strings.Repeat("ä", 2*maxMessage)}.apply(status, 3, metav1.NewTime(now))
			got := meta.FindStatusCondition(status.Conditions, test.kind)
			if !got.LastTransitionTime.Equal(&test.want) {
				t.Errorf("got %s, want %s", got.LastTransitionTime, test.want)
			}
			if len(got.Message) > maxMessage {
				t.Errorf("the message has %d bytes", len(got.Message))
			}
		})
	}
}

func TestDue(t *testing.T) {
	tests := []struct {
		name       string
		unanswered int
		found      *trouble
		stallsIn   time.Duration
		want       time.Duration
	}{
		{"ready", 0, nil, 0, probeEvery},
		{"first answer lost", 1, nil, 0, probeAgain},
		{"many answers lost", 20, nil, 0, lookAgain},
		{"watched", 0, &trouble{}, time.Minute, time.Minute},
		{"not watched", 0, &trouble{retry: true}, time.Minute, lookAgain},
		{"not watched, soon stalled", 0, &trouble{retry: true}, time.Second, time.Second},
		{"stalled, not watched", 0, &trouble{retry: true}, 0, lookAgain},
		{"stalled for good", 0, &trouble{final: true}, 0, 0},
		{"only somebody's action helps", 0, &trouble{final: true, retry: true}, 0, hopeAgain},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := (&Controller{}).due(&memory{unanswered: test.unanswered}, test.found, test.stallsIn); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestSameStatus(t *testing.T) {
	base := func() *tenancyv1.VirtualClusterStatus {
		status := &tenancyv1.VirtualClusterStatus{Release: &tenancyv1.ReleaseStatus{Name: "vc-demo", Revision: 1}}
		verdict{phase: tenancyv1.PhaseReady, ready: true, reason: "Ready", message: "m"}.apply(status, 1, metav1.NewTime(now))
		return status
	}
	for i, change := range []func(*tenancyv1.VirtualClusterStatus){
		func(s *tenancyv1.VirtualClusterStatus) { s.Phase = tenancyv1.PhaseFailed },
		func(s *tenancyv1.VirtualClusterStatus) { s.Endpoint = "https://10.0.0.1" },
		func(s *tenancyv1.VirtualClusterStatus) { s.Release.Revision = 2 },
		func(s *tenancyv1.VirtualClusterStatus) { s.Release = nil },
		func(s *tenancyv1.VirtualClusterStatus) { s.HostNodes = &tenancyv1.HostNodesStatus{} },
		func(s *tenancyv1.VirtualClusterStatus) { s.Conditions[0].Message = "other" },
		func(s *tenancyv1.VirtualClusterStatus) { s.Conditions = s.Conditions[1:] },
	} {
		changed := base()
		change(changed)
		if sameStatus(base(), changed) {
			t.Errorf("change %d is not seen", i)
		}
	}
	syncers := base()
	syncers.KubernetesVersion = "v1.37.2"
	syncers.Conditions = append(syncers.Conditions, condition(tenancyv1.ConditionSyncerReady, true, 0, 0))
	if !sameStatus(base(), syncers) {
		t.Error("what the syncer writes counts as a change")
	}
}
