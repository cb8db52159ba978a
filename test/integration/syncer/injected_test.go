// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/containers"
	"garret.dev/garret/test/framework"
)

// debug adds ephemeral containers to a pod of either side.
func debug(t *testing.T, pods interface {
	Get(ctx context.Context, name string, options metav1.GetOptions) (*corev1.Pod, error)
	UpdateEphemeralContainers(ctx context.Context, name string, pod *corev1.Pod, options metav1.UpdateOptions) (*corev1.Pod, error)
}, pod string, names ...string) {
	t.Helper()
	framework.Eventually(t, "there is a debug container", func(ctx context.Context) (bool, error) {
		found, err := pods.Get(ctx, pod, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		for _, name := range names {
			found.Spec.EphemeralContainers = append(found.Spec.EphemeralContainers, corev1.EphemeralContainer{
				EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: name, Image: "busybox:1"}})
		}
		_, err = pods.UpdateEphemeralContainers(ctx, pod, found, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) {
			return false, nil
		}
		return err == nil, err
	})
}

// ephemeral names the ephemeral containers of a pod.
func ephemeral(pod *corev1.Pod) []string {
	var names []string
	for i := range pod.Spec.EphemeralContainers {
		names = append(names, pod.Spec.EphemeralContainers[i].Name)
	}
	return names
}

// runEphemeral plays the kubelet of the host: everything runs, and the sidecar is not ready.
func (s *side) runEphemeral(name string) {
	s.t.Helper()
	framework.Eventually(s.t, "the kubelet of the host reports", func(ctx context.Context) (bool, error) {
		host := s.hostPod(name)
		running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}
		host.Status.InitContainerStatuses, host.Status.EphemeralContainerStatuses = nil, nil
		for i := range host.Spec.InitContainers {
			host.Status.InitContainerStatuses = append(host.Status.InitContainerStatuses, corev1.ContainerStatus{Name: host.Spec.InitContainers[i].Name, State: running})
		}
		for _, container := range ephemeral(host) {
			host.Status.EphemeralContainerStatuses = append(host.Status.EphemeralContainerStatuses, corev1.ContainerStatus{Name: container, State: running})
		}
		for i := range host.Status.Conditions {
			if condition := &host.Status.Conditions[i]; condition.Type == corev1.PodReady {
				condition.Status, condition.Reason, condition.Message = corev1.ConditionFalse, "ContainersNotReady", "containers with unready status: [mesh-proxy app]"
			}
		}
		_, err := s.host.CoreV1().Pods(s.hostNamespace).UpdateStatus(ctx, host, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) {
			return false, nil
		}
		return err == nil, err
	})
}

// stateInside tells of each ephemeral container inside whether it runs, or why it waits.
func (s *side) stateInside(name string) string {
	var states []string
	for _, status := range s.virtualPod(name).Status.EphemeralContainerStatuses {
		switch {
		case status.State.Running != nil:
			states = append(states, status.Name+" runs")
		case status.State.Waiting != nil:
			states = append(states, status.Name+" "+status.State.Waiting.Reason)
		}
	}
	return strings.Join(states, ", ")
}

func (s *side) awaitStateInside(name, want string) {
	s.t.Helper()
	var got string
	defer func() {
		if got != want {
			s.t.Logf("ephemeral containers of %s inside: %q", name, got)
		}
	}()
	framework.Eventually(s.t, "inside it is so: "+want, func(context.Context) (bool, error) {
		got = s.stateInside(name)
		return got == want, nil
	})
}

// TestContainersOfTheHost has the host add containers to a pod, when it is made and
// later, and a tenant who names debug containers as those are named.
func TestContainersOfTheHost(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	subject := &mutatedSubject{newSubject(t, s, kindOf(tenancyv1.ResourcePods))}
	subject.mutateOnHost(mutated{resource: tenancyv1.ResourcePods,
		policy: `oldObject != null ? [] : [
			JSONPatch{op: "add", path: "/metadata/labels/injected", value: "yes"},
			JSONPatch{op: "add", path: "/spec/initContainers", value: [Object.spec.initContainers{name: "mesh-init", image: "mesh:1", restartPolicy: "Always"}]},
			JSONPatch{op: "add", path: "/spec/containers/-", value: Object.spec.containers{name: "mesh-proxy", image: "mesh:1"}}]`,
		path: []string{"metadata", "labels", "injected"}, answered: "yes"})
	virtual, err := s.virtual.CoreV1().Pods(s.namespace).Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Labels: map[string]string{labelMutated: "yes"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}}}}, metav1.CreateOptions{})
	s.must(err)
	host := s.hostPod("web")
	s.schedule(host, "node-"+s.namespace)
	inside, outside := s.virtual.CoreV1().Pods(s.namespace), s.host.CoreV1().Pods(s.hostNamespace)
	debug(t, outside, host.Name, "admin")
	debug(t, inside, "web", "mesh-proxy", "mesh-init", "admin", "debug")
	framework.Eventually(t, "the debug container that has a name of its own is on the host", func(context.Context) (bool, error) {
		host = s.hostPod("web")
		return strings.Join(ephemeral(host), " ") == "admin debug", nil
	})
	s.runEphemeral("web")

	const want = "debug runs, mesh-proxy NameOccupied, mesh-init NameOccupied, admin NameOccupied"
	s.awaitStateInside("web", want)
	if message := s.awaitEvent(virtual.UID, containers.ReasonOccupied); !strings.Contains(message, "choose another name") {
		t.Errorf("event: got %q, want what to do", message)
	}
	s.awaitReadyInside("web", corev1.ConditionFalse)
	pod := s.virtualPod("web")
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady && condition.Message != "containers with unready status: [(host-container) app]" {
			t.Errorf("message of Ready: got %q, want no name of the host's", condition.Message)
		}
	}
	if len(pod.Status.InitContainerStatuses) > 0 || len(pod.Status.ContainerStatuses) != 1 {
		t.Errorf("statuses: got %v and %v, want the pod's own alone", pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses)
	}
	remembered := func() string { return s.hostPod("web").Annotations[containers.Annotation] }
	const record = `{"containers":["app"],"ephemeralContainers":["debug"]}`
	if got := remembered(); got != record {
		t.Errorf("the host pod remembers %s, want %s", got, record)
	}

	tell := func(path string) {
		_, err := s.host.CoreV1().Events(s.hostNamespace).Create(ctx, &corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{GenerateName: "e-", Namespace: s.hostNamespace},
			InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: host.Namespace, Name: host.Name, UID: host.UID, FieldPath: path},
			Reason:         "Unhealthy", Message: path + " after mesh-proxy", Type: corev1.EventTypeWarning,
		}, metav1.CreateOptions{})
		s.must(err)
	}
	for _, path := range []string{"spec.initContainers{mesh-init}", "spec.containers{mesh-proxy}", "spec.ephemeralContainers{admin}", "spec.ephemeralContainers{debug}", "spec.containers{app}"} {
		tell(path)
	}
	var told []string
	framework.Eventually(t, "the last event is inside", func(ctx context.Context) (bool, error) {
		events, err := s.virtual.CoreV1().Events(s.namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=Unhealthy"})
		told = nil
		for i := range events.Items {
			told = append(told, events.Items[i].Message)
		}
		return slices.ContainsFunc(told, func(message string) bool { return strings.Contains(message, "{app}") }), err
	})
	slices.Sort(told)
	if want := "spec.containers{app} after (host-container) spec.ephemeralContainers{debug} after (host-container)"; strings.Join(told, " ") != want {
		t.Errorf("events inside: got %q, want those of the pod's own containers", told)
	}

	// A syncer that ends before the pod remembers what it made still knows it for its own, and no other.
	s.stop()
	_, err = outside.Patch(ctx, host.Name, types.MergePatchType, []byte(`{"metadata":{"annotations":{"`+containers.Annotation+`":"{\"containers\":[\"app\"]}"}}}`), metav1.PatchOptions{})
	s.must(err)
	s.start()
	framework.Eventually(t, "the pod remembers its debug container again", func(context.Context) (bool, error) { return remembered() == record, nil })
	s.awaitStateInside("web", want)
}
