// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/component-base/metrics"
	clocktesting "k8s.io/utils/clock/testing"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	tenancyfake "garret.dev/garret/generated/clientset/versioned/fake"
	tenancyinformers "garret.dev/garret/generated/informers/externalversions"
	"garret.dev/garret/pkg/release"
)

func set(change func(*appsv1.StatefulSet)) *appsv1.StatefulSet {
	s := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "vc-demo", UID: "set", Generation: 1},
		Status:     appsv1.StatefulSetStatus{ObservedGeneration: 1, UpdateRevision: "r1"},
	}
	if change != nil {
		change(s)
	}
	return s
}

func running(name string) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: name, Image: "i", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(now.Add(-time.Minute))}}}
}

func waiting(name, reason, message string) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: name, Image: "i", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}
}

func pod(change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "vc-demo-0", Labels: map[string]string{appsv1.ControllerRevisionHashLabelKey: "r1"},
			CreationTimestamp: metav1.NewTime(now.Add(-time.Second))},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{running("k3s"), running("syncer")}},
	}
	if change != nil {
		change(p)
	}
	return p
}

func notReady(p *corev1.Pod) {
	for i := range p.Status.ContainerStatuses {
		p.Status.ContainerStatuses[i].Ready = false
	}
}

func event(kind, name, reason, message string, ago time.Duration) *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "team", Name: fmt.Sprintf("%s.%s.%d", name, strings.ToLower(reason), ago)},
		InvolvedObject: corev1.ObjectReference{Kind: kind, Namespace: "team", Name: name, UID: "set"},
		Reason:         reason, Message: message, Type: corev1.EventTypeWarning, LastTimestamp: metav1.NewTime(now.Add(-ago)),
	}
}

// withCaches is a controller whose caches hold these objects and which nothing fills.
func withCaches(t *testing.T, objects ...runtime.Object) *Controller {
	t.Helper()
	host := fake.NewClientset(objects...)
	c := &Controller{
		Dependencies: Dependencies{Host: host, Clock: clocktesting.NewFakeClock(now)},
		watched:      watch(host, tenancyinformers.NewSharedInformerFactory(tenancyfake.NewSimpleClientset(), 0), "garret-system"),
	}
	core := c.watched.factories[0].Core().V1()
	stores := map[string]cache.SharedIndexInformer{
		"*v1.Pod": core.Pods().Informer(), "*v1.PersistentVolumeClaim": core.PersistentVolumeClaims().Informer(), "*v1.Event": c.watched.eventChanges,
		"*v1.StatefulSet": c.watched.factories[0].Apps().V1().StatefulSets().Informer(),
	}
	for _, object := range objects {
		if err := stores[fmt.Sprintf("%T", object)].GetStore().Add(object); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestDiagnose(t *testing.T) {
	unschedulable := func(message string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status = corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{
				{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: message}}}
		}
	}
	first := func(status corev1.ContainerStatus) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Status.ContainerStatuses[0] = status; notReady(p) }
	}
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "data-vc-demo-0"}, Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending}}
	tests := []struct {
		name                    string
		objects                 []runtime.Object
		wantReason, wantMessage string
		wantFinal, wantProgress bool
	}{
		{"in order", []runtime.Object{set(nil), pod(nil)}, "", "", false, false},
		{"nothing yet", nil, reasonDeploying, "StatefulSet", false, true},
		{"no pod yet", []runtime.Object{set(nil)}, reasonDeploying, "creating the pod", false, true},
		{"pod refused by a quota", []runtime.Object{set(nil),
			event("StatefulSet", "vc-demo", "FailedCreate", "an old complaint", time.Hour),
			event("StatefulSet", "vc-demo", "FailedCreate", "pods is forbidden: exceeded quota: small", time.Second)}, reasonQuotaExceeded, "exceeded quota: small", false, false},
		{"pod refused by admission", []runtime.Object{set(nil), event("StatefulSet", "vc-demo", "FailedCreate", "violates PodSecurity", time.Second)}, reasonPodRefused, "violates PodSecurity", false, false},
		{"event of an earlier StatefulSet", []runtime.Object{set(func(s *appsv1.StatefulSet) { s.UID = "other" }), event("StatefulSet", "vc-demo", "FailedCreate", "old", time.Second)}, reasonDeploying, "pod", false, true},
		{"pod going", []runtime.Object{set(nil), pod(func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: now} })}, reasonPodTerminating, "replacing the pod", false, true},
		{"pod evicted", []runtime.Object{set(nil), pod(func(p *corev1.Pod) {
			p.Status = corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "low on memory"}
		})}, "Evicted", "low on memory", false, false},
		{"no node", []runtime.Object{set(nil), pod(unschedulable("0/1 nodes are available"))}, "Unschedulable", "0/1 nodes", false, false},
		{"no volume", []runtime.Object{set(nil), claim, pod(unschedulable("pod has unbound immediate PersistentVolumeClaims")),
			event("PersistentVolumeClaim", "data-vc-demo-0", "ProvisioningFailed", "no class fast", time.Second)}, reasonVolumePending, "no class fast", false, false},
		{"no image", []runtime.Object{set(nil), pod(first(waiting("k3s", "ImagePullBackOff", "not found")))}, "ImagePullBackOff", "container k3s (i): not found", false, false},
		{"impossible image", []runtime.Object{set(nil), pod(first(waiting("k3s", "InvalidImageName", "bad")))}, "InvalidImageName", "bad", true, false},
		{"crashing", []runtime.Object{set(nil), pod(first(corev1.ContainerStatus{Name: "k3s", Image: "i",
			State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off"}},
			LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 7, Message: "no disk"}}}))},
			"CrashLoopBackOff", "exit code 7: no disk", false, false},
		{"just ended", []runtime.Object{set(nil), pod(first(corev1.ContainerStatus{Name: "k3s", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137}}}))},
			"ContainerTerminated", "OOMKilled", false, true},
		{"being made", []runtime.Object{set(nil), pod(first(waiting("k3s", "ContainerCreating", "")))}, reasonStarting, "creating the containers", false, true},
		{"being made for long", []runtime.Object{set(nil), pod(func(p *corev1.Pod) {
			first(waiting("k3s", "ContainerCreating", ""))(p)
			p.CreationTimestamp = metav1.NewTime(now.Add(-time.Minute))
		}), event("Pod", "vc-demo-0", "FailedMount", "secret db not found", time.Second)}, reasonPodNotReady, "secret db not found", false, false},
		{"starting", []runtime.Object{set(nil), pod(notReady)}, reasonStarting, "are starting", false, true},
		{"pod of the old spec", []runtime.Object{set(func(s *appsv1.StatefulSet) { s.Status.UpdateRevision = "r2" }), pod(nil)}, reasonRollingOut, "new spec", false, true},
		{"spec not seen yet", []runtime.Object{set(func(s *appsv1.StatefulSet) { s.Generation = 2 }), pod(nil)}, reasonRollingOut, "new spec", false, true},
		{"StatefulSet not reported on yet", []runtime.Object{set(func(s *appsv1.StatefulSet) { s.Status = appsv1.StatefulSetStatus{} }), pod(notReady)}, reasonStarting, "are starting", false, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := withCaches(t, test.objects...).diagnose(t.Context(), object(1))
			if got == nil {
				got = &trouble{}
			}
			if got.Reason != test.wantReason || !strings.Contains(got.Message, test.wantMessage) {
				t.Errorf("got %s %q, want %s with %q", got.Reason, got.Message, test.wantReason, test.wantMessage)
			}
			if got.final != test.wantFinal || got.progress != test.wantProgress {
				t.Errorf("final %t, progress %t; want %t, %t", got.final, got.progress, test.wantFinal, test.wantProgress)
			}
		})
	}
}

func TestContainerUp(t *testing.T) {
	report := func(is bool, ago time.Duration) *metav1.Condition {
		made := condition(tenancyv1.ConditionSyncerReady, is, 0, ago)
		return &made
	}
	started := func(ready bool, ago time.Duration) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.ContainerStatuses[1].Ready = ready
			p.Status.ContainerStatuses[1].State.Running.StartedAt = metav1.NewTime(now.Add(-ago))
		}
	}
	tests := []struct {
		name   string
		change func(*corev1.Pod)
		report *metav1.Condition
		want   bool
	}{
		{"probed", started(true, time.Hour), report(true, time.Hour), true},
		{"reported, not probed yet", started(false, 5*time.Second), report(true, time.Second), true},
		{"reported by the container before", started(false, time.Second), report(true, 5*time.Second), false},
		{"reported, and the probes say otherwise", started(false, time.Hour), report(true, time.Minute), false},
		{"not reported", started(false, 5*time.Second), nil, false},
		{"reported not to be ready", started(false, 5*time.Second), report(false, time.Second), false},
		{"ended", func(p *corev1.Pod) { p.Status.ContainerStatuses[1].State.Running = nil }, report(true, time.Second), false},
		{"not there", func(p *corev1.Pod) { p.Status.ContainerStatuses = p.Status.ContainerStatuses[:1] }, report(true, time.Second), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := &Controller{Dependencies: Dependencies{Clock: clocktesting.NewFakeClock(now)}}
			if got := c.up(pod(test.change), containerSyncer, test.report); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

func TestDeployTrouble(t *testing.T) {
	terminating := apierrors.NewForbidden(schema.GroupResource{Resource: "services"}, "vc-demo", errors.New("because it is being terminated"))
	tests := []struct {
		name, want string
		err        error
		wantFinal  bool
	}{
		{"a trouble stays itself", reasonInvalidValues, fmt.Errorf("wrapped: %w", &trouble{Reason: reasonInvalidValues, final: true}), true},
		{"namespace going", reasonNamespaceEnding, terminating, true},
		{"another's object", reasonNameTaken, fmt.Errorf("release: %w", release.ErrForeign), true},
		{"another's object, in Helm's words", reasonNameTaken, errors.New("Unable to continue with install: invalid ownership metadata"), true},
		{"quota", reasonQuotaExceeded, errors.New(`services "x" is forbidden: exceeded quota: q`), false},
		{"refused by validation", reasonInvalidSpec, errors.New(`StatefulSet.apps "x" is invalid: spec: Forbidden`), true},
		{"no right", reasonForbidden, errors.New(`roles "x" is forbidden: not held`), false},
		{"anything else", reasonDeployFailed, errors.New("connection refused"), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := deployTrouble(test.err); got.Reason != test.want || got.final != test.wantFinal {
				t.Errorf("got %s final %t, want %s final %t", got.Reason, got.final, test.want, test.wantFinal)
			}
		})
	}
}

func TestReported(t *testing.T) {
	yes := []metav1.Condition{condition(tenancyv1.ConditionControlPlaneReady, true, 0, 0), condition(tenancyv1.ConditionSyncerReady, true, 0, 0)}
	if got := reported(object(1, yes...)); got != nil {
		t.Errorf("got %v, want none", got)
	}
	if got := reported(object(1, yes[0])); got == nil || !strings.Contains(got.Message, tenancyv1.ConditionSyncerReady) {
		t.Errorf("got %v, want that SyncerReady is missing", got)
	}
	no := condition(tenancyv1.ConditionSyncerReady, false, 0, 0)
	no.Reason = "BootstrapFailing"
	if got := reported(object(1, yes[0], no)); got == nil || got.Reason != "BootstrapFailing" {
		t.Errorf("got %v, want the syncer's reason", got)
	}
}

// TestLostData wants a syncer that waits for a decision to be a failure at once, told as such.
func TestLostData(t *testing.T) {
	for _, reason := range []string{tenancyv1.ReasonDataReplaced, tenancyv1.ReasonDataOlder, tenancyv1.ReasonMissingRights} {
		for name, change := range map[string]func(*corev1.Pod){
			"while its container is not ready": notReady, "whatever its container": nil,
			"while the pod is replaced": func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: now} },
		} {
			lost := condition(tenancyv1.ConditionSyncerReady, false, 0, time.Second)
			lost.Reason, lost.Message = reason, "decide"
			vc := object(2, condition(tenancyv1.ConditionControlPlaneReady, true, 0, 0), lost, condition(tenancyv1.ConditionReady, true, 2, time.Hour))
			c, events := withCaches(t, set(nil), pod(change)), record.NewFakeRecorder(9)
			c.Recorder, c.options.StallAfter, c.Metrics = events, time.Hour, NewMetrics(func(...metrics.Registerable) {})
			verdict, _ := c.judge(vc, c.health(t.Context(), vc, &memory{}, "10.96.7.7"))
			if !verdict.stalled || verdict.ready || verdict.phase != tenancyv1.PhaseFailed || verdict.reason != reason || verdict.message != "decide" {
				t.Errorf("%s %s: got %+v, want it to be stalled for that reason", reason, name, verdict)
			}
			c.announce(vc, &memory{}, verdict)
			if event := <-events.Events; event != "Warning "+reason+" decide" {
				t.Errorf("%s %s: got the event %q", reason, name, event)
			}
		}
	}
	// A trouble of the pod itself comes first: nothing inside can be decided without it.
	lost := condition(tenancyv1.ConditionSyncerReady, false, 0, time.Second)
	lost.Reason = tenancyv1.ReasonDataReplaced
	c := withCaches(t, set(nil), pod(func(p *corev1.Pod) {
		p.Status.ContainerStatuses[0] = waiting("k3s", "ImagePullBackOff", "no such image")
	}))
	if got := c.health(t.Context(), object(2, condition(tenancyv1.ConditionControlPlaneReady, true, 0, 0), lost), &memory{}, ""); got == nil || got.Reason != "ImagePullBackOff" {
		t.Errorf("got %v, want the kubelet's trouble", got)
	}
}

// TestOrphansAreTold wants an event for each thing that is to be said, once.
func TestOrphansAreTold(t *testing.T) {
	events, m := record.NewFakeRecorder(9), &memory{}
	c := &Controller{Dependencies: Dependencies{Recorder: events}}
	for i, step := range []struct {
		is      bool
		message string
		want    string
	}{
		{false, "", ""}, {true, "1 claim", "Warning HostDataOrphaned 1 claim"}, {true, "1 claim", ""}, {true, "2 claims", "Warning HostDataOrphaned 2 claims"},
		{false, "", ""}, {true, "2 claims", "Warning HostDataOrphaned 2 claims"}, {true, "", "Warning HostDataOrphaned R"},
	} {
		orphaned := condition(tenancyv1.ConditionOrphaned, step.is, 0, 0)
		orphaned.Message = step.message
		c.tellOrphans(object(1, orphaned), m)
		got := ""
		select {
		case got = <-events.Events:
		default:
		}
		if got != step.want {
			t.Errorf("step %d: got the event %q, want %q", i, got, step.want)
		}
	}
	c.tellOrphans(object(1), m)
}

func TestServiceRangeInRefusal(t *testing.T) {
	tests := []struct{ message, want string }{
		{`Service "x" is invalid: spec.clusterIPs: Invalid value: ["1.1.1.1"]: failed to allocate IP 1.1.1.1: provided IP is not in the valid range. The range of valid IPs is 10.96.0.0/12`, "10.96.0.0/12"},
		{`The range of valid IPs is fd00:10:96::/112`, "fd00:10:96::/112"},
		{`services is forbidden`, ""},
		{`The range of valid IPs is 10.96.0.0/99`, ""},
	}
	for _, test := range tests {
		got, ok := cidrIn(test.message)
		if ok != (test.want != "") || (ok && got != test.want) {
			t.Errorf("%s: got %q %t, want %q", test.message, got, ok, test.want)
		}
	}
}
