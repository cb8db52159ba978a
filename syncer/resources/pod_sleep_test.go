// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/dormancy"
	"garret.dev/garret/syncer/translate"
)

// TestNodeIsLost says when a pod that slept has waited for its node for too long.
func TestNodeIsLost(t *testing.T) {
	host := fake.NewClientset(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: "team", Name: tenancyv1.SleepRecordName("demo"), Labels: map[string]string{tenancyv1.LabelCluster: "0123456789"}}, Data: map[string]string{"inside": "before"}})
	slept := dormancy.New(dormancy.Options{Cluster: translate.Cluster{ID: "0123456789", Name: "demo", HostNamespace: "team"}, Host: host, Clock: clock.RealClock{}, Pods: true, Report: func(int64) {}})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- slept.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	slept.Observe(&tenancyv1.VirtualCluster{})
	if err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) { return slept.Known(), nil }); err != nil {
		t.Fatal("the record is not read")
	}
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	p := &pods{dormancy: slept, clock: clocktesting.NewFakePassiveClock(now)}
	waiting := func(ago time.Duration, reason string) []corev1.PodCondition {
		return []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: reason, LastTransitionTime: metav1.NewTime(now.Add(-ago))}}
	}
	for name, test := range map[string]struct {
		inside, onHost, node string
		conditions           []corev1.PodCondition
		want                 bool
	}{
		"waits for too long":   {"inside", "after", "", waiting(nodePatience, corev1.PodReasonUnschedulable), true},
		"waits":                {"inside", "after", "", waiting(nodePatience-time.Second, corev1.PodReasonUnschedulable), false},
		"nobody looked yet":    {"inside", "after", "", nil, false},
		"is held by a gate":    {"inside", "after", "", waiting(time.Hour, corev1.PodReasonSchedulingGated), false},
		"has its node":         {"inside", "after", "node", waiting(time.Hour, corev1.PodReasonUnschedulable), false},
		"is the one of before": {"inside", "before", "", waiting(time.Hour, corev1.PodReasonUnschedulable), false},
		"did not sleep":        {"another", "after", "", waiting(time.Hour, corev1.PodReasonUnschedulable), false},
	} {
		t.Run(name, func(t *testing.T) {
			virtual, onHost := &corev1.Pod{}, &corev1.Pod{}
			virtual.UID, virtual.Spec.NodeName = types.UID(test.inside), "node"
			onHost.Spec.NodeName, onHost.Status.Conditions = test.node, test.conditions
			onHost.UID = types.UID(test.onHost)
			if got := p.isLost(virtual, onHost); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
