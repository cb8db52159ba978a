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

	"garret.dev/garret/test/framework"
)

// TestCordonInside cordons a node inside while pods wait for one, and uncordons it.
// The pods inside stay the same; those on the host are made again.
func TestCordonInside(t *testing.T) {
	s := setUp(t)
	node := "node-of-" + s.namespace
	_, err := s.virtual.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}, metav1.CreateOptions{})
	s.must(err)
	waiting := map[string]types.UID{}
	for _, name := range []string{"one", "two", "three"} {
		waiting[name] = s.createPod(name, corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}}}).UID
		s.hostPod(name)
	}
	for range 3 {
		for _, cordoned := range []bool{true, false} {
			patch := `{"spec":{"unschedulable":null}}`
			if cordoned {
				patch = `{"spec":{"unschedulable":true}}`
			}
			_, err := s.virtual.CoreV1().Nodes().Patch(t.Context(), node, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
			s.must(err)
			for name, uid := range waiting {
				framework.Eventually(t, "the host pod of "+name+" keeps off the node while it is cordoned", func(ctx context.Context) (bool, error) {
					pod, err := s.host.CoreV1().Pods(s.hostNamespace).Get(ctx, s.translator.HostName(s.namespace, name), metav1.GetOptions{})
					if apierrors.IsNotFound(err) {
						return false, nil
					}
					return err == nil && (pod.Spec.Affinity != nil) == cordoned, err
				})
				found, err := s.virtual.CoreV1().Pods(s.namespace).Get(t.Context(), name, metav1.GetOptions{})
				s.must(err)
				if found.UID != uid || found.DeletionTimestamp != nil {
					t.Fatalf("pod %s inside: got UID %s, deleted at %v, want %s as it was", name, found.UID, found.DeletionTimestamp, uid)
				}
			}
		}
	}
}

// TestNodeByHand has a pod name its node. What that node cannot take fails for good, as
// a kubelet has it, and is gone from the host; what may pass is waited for.
func TestNodeByHand(t *testing.T) {
	s := setUp(t)
	spec := corev1.PodSpec{NodeName: "node-" + s.namespace, Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}},
		Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{
			{TopologyKey: corev1.LabelHostname, LabelSelector: &metav1.LabelSelector{}}}}}}
	say := func(name, message string) {
		t.Helper()
		host := s.hostPod(name)
		if host.Spec.NodeName != "" || host.Spec.Affinity.PodAntiAffinity != nil || host.Spec.Affinity.NodeAffinity == nil {
			t.Errorf("host pod: got node %q and %v, want it to ask the scheduler for the node alone", host.Spec.NodeName, host.Spec.Affinity)
		}
		host.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: message}}
		_, err := s.host.CoreV1().Pods(s.hostNamespace).UpdateStatus(t.Context(), host, metav1.UpdateOptions{})
		s.must(err)
	}
	waits := s.createPod("waits", spec)
	say("waits", "0/1 nodes are available: 1 node(s) were unschedulable.")
	rejected := s.createPod("rejected", spec)
	say("rejected", "0/2 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.")
	framework.Eventually(t, "the pod has failed", func(context.Context) (bool, error) {
		return s.virtualPod("rejected").Status.Phase == corev1.PodFailed, nil
	})
	want := "Pod was rejected: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
	if pod := s.virtualPod("rejected"); pod.Status.Reason != "NodePorts" || pod.Status.Message != want || pod.Status.ObservedGeneration != pod.Generation {
		t.Errorf("got reason %q and %q of generation %d, want NodePorts and %q of %d", pod.Status.Reason, pod.Status.Message, pod.Status.ObservedGeneration, want, pod.Generation)
	}
	s.awaitEvent(rejected.UID, "NodePorts")
	framework.Eventually(t, "the one that waits says why", func(context.Context) (bool, error) {
		return slices.ContainsFunc(s.virtualPod("waits").Status.Conditions, func(c corev1.PodCondition) bool {
			return strings.Contains(c.Message, "were unschedulable")
		}), nil
	})
	if pod := s.virtualPod("waits"); pod.UID != waits.UID || pod.Status.Phase != corev1.PodPending {
		t.Errorf("the pod whose node is cordoned is %s, want it to wait", pod.Status.Phase)
	}
	// A further pass makes no other host pod for it.
	_, err := s.virtual.CoreV1().Pods(s.namespace).Patch(t.Context(), "rejected", types.MergePatchType, []byte(`{"metadata":{"labels":{"seen":"yes"}}}`), metav1.PatchOptions{})
	s.must(err)
	s.createPod("marker", corev1.PodSpec{Containers: spec.Containers})
	s.hostPod("marker")
	if _, err := s.host.CoreV1().Pods(s.hostNamespace).Get(t.Context(), s.translator.HostName(s.namespace, "rejected"), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("host pod of the rejected one: got %v, want that it is gone", err)
	}
}

// TestBoundInside has somebody inside bind pods that wait on the host, as a scheduler of the
// tenant's does. They go to that node or fail there, and none is lost.
func TestBoundInside(t *testing.T) {
	s := setUp(t)
	node := "node-" + s.namespace
	spec := corev1.PodSpec{SchedulerName: "tenants", Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}}}
	assign := func(name string, uid types.UID) {
		t.Helper()
		s.must(s.virtual.CoreV1().Pods(s.namespace).Bind(t.Context(), &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Name: name, UID: uid}, Target: corev1.ObjectReference{Kind: "Node", Name: node},
		}, metav1.CreateOptions{}))
	}
	bind := func(name string) (uid types.UID) {
		t.Helper()
		uid = s.createPod(name, spec).UID
		before := s.hostPod(name)
		if before.Spec.SchedulerName != "tenants" {
			t.Errorf("the host pod asks the scheduler %q, want the one that the pod names", before.Spec.SchedulerName)
		}
		assign(name, uid)
		framework.Eventually(t, "the host pod of "+name+" asks for that node", func(ctx context.Context) (bool, error) {
			host, err := s.host.CoreV1().Pods(s.hostNamespace).Get(ctx, s.translator.HostName(s.namespace, name), metav1.GetOptions{})
			if err != nil {
				return false, nil
			}
			return host.UID != before.UID && host.Spec.Affinity != nil && host.Spec.SchedulerName == corev1.DefaultSchedulerName && len(host.Spec.SchedulingGates) == 0, nil
		})
		return uid
	}
	taken := bind("taken")
	s.schedule(s.hostPod("taken"), node)
	framework.Eventually(t, "the pod is scheduled", func(context.Context) (bool, error) {
		return slices.ContainsFunc(s.virtualPod("taken").Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodScheduled && c.Status == corev1.ConditionTrue
		}), nil
	})
	if pod := s.virtualPod("taken"); pod.UID != taken || pod.Spec.NodeName != node {
		t.Errorf("got pod %s on node %q, want %s on %s", pod.UID, pod.Spec.NodeName, taken, node)
	}

	rejected := bind("rejected")
	host := s.hostPod("rejected")
	host.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
		Message: "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match Pod's node affinity/selector."}}
	_, err := s.host.CoreV1().Pods(s.hostNamespace).UpdateStatus(t.Context(), host, metav1.UpdateOptions{})
	s.must(err)
	framework.Eventually(t, "the pod fails, and its host pod is gone", func(ctx context.Context) (bool, error) {
		_, err := s.host.CoreV1().Pods(s.hostNamespace).Get(ctx, host.Name, metav1.GetOptions{})
		return s.virtualPod("rejected").Status.Reason == "OutOfcpu" && apierrors.IsNotFound(err), nil
	})
	// kubectl would show a gate of the host's rather than why it failed.
	for _, condition := range s.virtualPod("rejected").Status.Conditions {
		if condition.Reason == corev1.PodReasonSchedulingGated {
			t.Errorf("got the condition %+v, want nothing of the gate on the host", condition)
		}
	}
	// Neither a further pass nor another syncer deletes it. One that is bound before it has a host pod
	// is no pod that lost it, and one that is refused stays so.
	s.stop()
	early, refused := s.createPod("early", spec).UID, s.createPod("refused", plain(volume(corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}))).UID
	assign("early", early)
	assign("refused", refused)
	s.start()
	if host := s.hostPod("early"); host.Spec.Affinity == nil {
		t.Error("the host pod asks for no node, want the one that the pod was bound to")
	}
	s.schedule(s.hostPod("early"), node)
	framework.Eventually(t, "the pod that was bound early is scheduled", func(context.Context) (bool, error) {
		pod := s.virtualPod("early")
		return pod.UID == early && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodScheduled && c.Status == corev1.ConditionTrue
		}), nil
	})
	s.awaitEvent(refused, "Forbidden")
	if pod := s.virtualPod("refused"); pod.UID != refused || pod.DeletionTimestamp != nil || pod.Status.Phase != corev1.PodPending {
		t.Errorf("the refused pod is %s and %s, deleted at %v, want %s to wait", pod.UID, pod.Status.Phase, pod.DeletionTimestamp, refused)
	}
	_, err = s.virtual.CoreV1().Pods(s.namespace).Patch(t.Context(), "rejected", types.MergePatchType, []byte(`{"metadata":{"labels":{"seen":"yes"}}}`), metav1.PatchOptions{})
	s.must(err)
	s.createPod("marker", corev1.PodSpec{Containers: spec.Containers})
	s.hostPod("marker")
	if pod := s.virtualPod("rejected"); pod.UID != rejected || pod.Status.Phase != corev1.PodFailed {
		t.Errorf("got %s in phase %s, want %s to stay Failed", pod.UID, pod.Status.Phase, rejected)
	}
}
