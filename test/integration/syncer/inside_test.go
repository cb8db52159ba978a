// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	explainv1alpha1 "garret.dev/garret/apis/explain/v1alpha1"
	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

const (
	foo = corev1.ResourceName("example.com/foo")
	gpu = corev1.ResourceName("nvidia.com/gpu")
)

// tell has the VirtualCluster say which extended resources the host has.
func (s *side) tell(names ...string) {
	s.hostResources.Observe(&tenancyv1.VirtualCluster{Status: tenancyv1.VirtualClusterStatus{HostNodes: &tenancyv1.HostNodesStatus{Resources: names}}})
}

// advertise gives a node inside resources, as a tenant does.
func (s *side) advertise(node string, capacity corev1.ResourceList) {
	s.t.Helper()
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"capacity": capacity}})
	s.must(err)
	_, err = s.virtual.CoreV1().Nodes().Patch(s.t.Context(), node, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	s.must(err)
}

// asking is the spec of a pod that asks for some of the resources, and for a processor.
func asking(class string, amounts ...any) corev1.PodSpec {
	list := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")}
	for i := 0; i < len(amounts); i += 2 {
		list[amounts[i].(corev1.ResourceName)] = resource.MustParse(amounts[i+1].(string))
	}
	return corev1.PodSpec{PriorityClassName: class, Containers: []corev1.Container{{
		Name: "app", Image: "busybox:1", Resources: corev1.ResourceRequirements{Requests: list, Limits: list}}}}
}

// explainedPod is what an administrator is told of a pod inside.
func (s *side) explainedPod(name string) *explainv1alpha1.Explanation {
	s.t.Helper()
	pods, _ := tenancyv1.CataloguedKind(tenancyv1.ResourcePods)
	return (&subject{side: s, kind: &kind{GroupVersionResource: corev1.SchemeGroupVersion.WithResource(pods.Resource)}}).explained(name)
}

// place is the one node that a host pod asks for.
func place(t *testing.T, host *corev1.Pod) string {
	t.Helper()
	if host.Spec.Affinity == nil || host.Spec.Affinity.NodeAffinity == nil {
		t.Fatalf("host pod %s may go anywhere, want one node", host.Name)
	}
	terms := host.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	if len(terms) != 1 || len(terms[0].MatchFields) != 1 || terms[0].MatchFields[0].Operator != corev1.NodeSelectorOpIn {
		t.Fatalf("host pod %s asks for %v, want one node", host.Name, terms)
	}
	return terms[0].MatchFields[0].Values[0]
}

// awaitWaiting waits until a pod inside says why it waits, and returns it.
func (s *side) awaitWaiting(name, words string) *corev1.Pod {
	s.t.Helper()
	framework.Eventually(s.t, name+" waits: "+words, func(context.Context) (bool, error) {
		return slices.ContainsFunc(s.virtualPod(name).Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && strings.Contains(c.Message, words)
		}), nil
	})
	return s.virtualPod(name)
}

// notOnHost fails if the pod has a twin.
func (s *side) notOnHost(name string) {
	s.t.Helper()
	_, err := s.host.CoreV1().Pods(s.hostNamespace).Get(s.t.Context(), s.translator.HostName(s.namespace, name), metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		s.t.Errorf("host pod of %s: got %v, want that there is none", name, err)
	}
}

// TestResourcesInside gives nodes inside a resource that the host has not. Pods that ask for it
// get the room that there is, one preempts another for it, and what the host has stays
// the host's.
func TestResourcesInside(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	one, two := "one-"+s.namespace, "two-"+s.namespace
	for name, node := range map[string]string{"first": one, "second": two} {
		s.createPod(name, corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}}})
		s.schedule(s.hostPod(name), node)
		framework.Eventually(t, "there is a node "+node, func(ctx context.Context) (bool, error) {
			_, err := s.virtual.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
			return err == nil, nil
		})
	}
	high := "high-" + s.namespace
	_, err := s.virtual.SchedulingV1().PriorityClasses().Create(ctx, &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: high}, Value: 1000}, metav1.CreateOptions{})
	s.must(err)
	t.Cleanup(func() {
		s.must(s.virtual.SchedulingV1().PriorityClasses().Delete(context.Background(), high, metav1.DeleteOptions{}))
	})

	t.Run("while nothing is known of the host, it is asked for everything", func(t *testing.T) {
		s := s.within(t)
		s.advertise(one, corev1.ResourceList{foo: resource.MustParse("3")})
		s.createPod("early", asking("", foo, "1"))
		if asked := s.hostPod("early").Spec.Containers[0].Resources.Requests; asked.Name(foo, resource.DecimalSI).Value() != 1 {
			t.Errorf("the host is asked for %v, want %s among it", asked, foo)
		}
	})
	s.tell(string(gpu), "vendor.example/card")
	t.Run("a pod on the host that waits is placed", func(t *testing.T) {
		s := s.within(t)
		framework.Eventually(t, "the host pod is another one", func(context.Context) (bool, error) {
			asked := s.hostPod("early").Spec.Containers[0].Resources.Requests
			_, found := asked[foo]
			return !found, nil
		})
		host := s.hostPod("early")
		if got := place(t, host); got != one {
			t.Errorf("the host is asked for node %s, want %s", got, one)
		}
		if host.Spec.Containers[0].Resources.Requests.Cpu().String() != "100m" || len(host.Spec.Containers[0].Resources.Limits) != 1 {
			t.Errorf("the host is asked for %v, want the processor alone", host.Spec.Containers[0].Resources)
		}
		s.schedule(host, one)
	})
	t.Run("a node keeps what somebody gave it, and nothing of the host's", func(t *testing.T) {
		s := s.within(t)
		before, err := s.virtual.CoreV1().Nodes().Get(t.Context(), one, metav1.GetOptions{})
		s.must(err)
		s.advertise(one, corev1.ResourceList{foo: resource.MustParse("3"), gpu: resource.MustParse("8"), corev1.ResourceCPU: resource.MustParse("999"),
			corev1.ResourceMemory: resource.MustParse("999Gi"), corev1.ResourcePods: resource.MustParse("9999"),
			corev1.ResourceEphemeralStorage: resource.MustParse("999Ti"), "hugepages-2Mi": resource.MustParse("1Gi"), "attachable.kubernetes.io/x": resource.MustParse("5")})
		want := before.Status.Capacity.DeepCopy()
		framework.Eventually(t, "the node is as it was", func(ctx context.Context) (bool, error) {
			node, err := s.virtual.CoreV1().Nodes().Get(ctx, one, metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			same := len(node.Status.Capacity) == len(want)
			for name, quantity := range want {
				same = same && quantity.Equal(node.Status.Capacity[name]) && quantity.Equal(node.Status.Allocatable[name])
			}
			return same, nil
		})
	})
	t.Run("what the host has is asked of the host", func(t *testing.T) {
		s := s.within(t)
		s.advertise(one, corev1.ResourceList{gpu: resource.MustParse("8"), "vendor.example/card": resource.MustParse("8")})
		s.createPod("gpu", asking("", gpu, "1"))
		host := s.hostPod("gpu")
		if asked := host.Spec.Containers[0].Resources; asked.Requests.Name(gpu, resource.DecimalSI).Value() != 1 || asked.Limits.Name(gpu, resource.DecimalSI).Value() != 1 {
			t.Errorf("the host is asked for %v, want %s among it", asked, gpu)
		}
		// One that asks for both gets a node for the one and the host for the other.
		s.createPod("both", asking("", gpu, "1", foo, "1"))
		host = s.hostPod("both")
		asked := host.Spec.Containers[0].Resources.Requests
		if _, stripped := asked[gpu]; !stripped || len(asked) != 2 || place(t, host) != one {
			t.Errorf("the host is asked for %v, want a processor and %s", asked, gpu)
		}
		s.must(s.virtual.CoreV1().Pods(s.namespace).Delete(t.Context(), "both", metav1.DeleteOptions{}))
		framework.Eventually(t, "its room is free", func(context.Context) (bool, error) { return s.virtualPod("both").Name == "", nil })
		s.createPod("unknown", asking("", corev1.ResourceName("example.com/nobody"), "1"))
		if asked := s.hostPod("unknown").Spec.Containers[0].Resources.Requests; len(asked) != 2 {
			t.Errorf("the host is asked for %v, want what no node has among it", asked)
		}
	})
	t.Run("no more go there than there is room for", func(t *testing.T) {
		s := s.within(t)
		s.createPod("big", asking("", foo, "2"))
		s.schedule(s.hostPod("big"), one)
		small := s.createPod("small", asking("", foo, "1"))
		s.awaitWaiting("small", "0/1 nodes inside are available: 1 Insufficient example.com/foo.")
		s.awaitEvent(small.UID, "FailedScheduling")
		s.notOnHost("small")
	})
	t.Run("what becomes of it is explained", func(t *testing.T) {
		s := s.within(t)
		waiting := s.explainedPod("small")
		if len(waiting.Reasons) != 1 || !strings.Contains(waiting.Reasons[0].Message, "only nodes inside have") {
			t.Errorf("of the pod that waits: got %v, want why", waiting.Reasons)
		}
		for _, field := range s.explainedPod("big").Fields {
			if strings.HasSuffix(field.Field, "resources.requests["+string(foo)+"]") {
				if field.Verdict != explainv1alpha1.Dropped || !strings.Contains(field.Why, "only nodes inside have") {
					t.Errorf("of the request: got %s, %q, want it dropped, and why", field.Verdict, field.Why)
				}
				return
			}
		}
		t.Error("nothing is said of the request")
	})
	t.Run("a pod that the host does not let onto its node gets another", func(t *testing.T) {
		s := s.within(t)
		s.advertise(two, corev1.ResourceList{foo: resource.MustParse("1")})
		host := s.hostPod("small")
		if got := place(t, host); got != two {
			t.Fatalf("the host is asked for node %s, want %s", got, two)
		}
		s.advertise(one, corev1.ResourceList{foo: resource.MustParse("4")})
		host.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: "0/2 nodes are available: 2 Insufficient cpu."}}
		_, err := s.host.CoreV1().Pods(s.hostNamespace).UpdateStatus(t.Context(), host, metav1.UpdateOptions{})
		s.must(err)
		framework.Eventually(t, "the host is asked for the other node", func(context.Context) (bool, error) { return place(t, s.hostPod("small")) == one, nil })
		s.schedule(s.hostPod("small"), one)
		framework.Eventually(t, "it has its node inside", func(context.Context) (bool, error) { return s.virtualPod("small").Spec.NodeName == one, nil })
	})
	t.Run("a pod of higher priority preempts the least", func(t *testing.T) {
		s := s.within(t)
		_, err := s.virtual.CoreV1().Nodes().Patch(t.Context(), two, types.JSONPatchType, []byte(`[{"op":"remove","path":"/status/capacity/example.com~1foo"}]`), metav1.PatchOptions{}, "status")
		s.must(err)
		victim := s.virtualPod("big")
		urgent := s.createPod("urgent", asking(high, foo, "2"))
		framework.Eventually(t, "the pod of low priority is ending", func(context.Context) (bool, error) {
			return s.virtualPod("big").DeletionTimestamp != nil, nil
		})
		ending := s.virtualPod("big")
		if !slices.ContainsFunc(ending.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue && c.Reason == corev1.PodReasonPreemptionByScheduler
		}) {
			t.Errorf("the pod that ends has the conditions %v, want DisruptionTarget among them", ending.Status.Conditions)
		}
		if message := s.awaitEvent(victim.UID, "Preempted"); !strings.Contains(message, string(urgent.UID)) {
			t.Errorf("the event says %q, want who preempted it", message)
		}
		if got := s.awaitWaiting("urgent", "lower priority are ending").Status.NominatedNodeName; got != one {
			t.Errorf("the pod is nominated for %q, want %q", got, one)
		}
		s.createPod("thief", asking("", foo, "1"))
		s.awaitWaiting("thief", "1 Insufficient example.com/foo")
		// The kubelet of the host is done.
		s.must(s.host.CoreV1().Pods(s.hostNamespace).Delete(t.Context(), s.translator.HostName(s.namespace, "big"), *metav1.NewDeleteOptions(0)))
		s.gone(victim)
		host := s.hostPod("urgent")
		if got := place(t, host); got != one {
			t.Errorf("the host is asked for node %s, want %s", got, one)
		}
		s.notOnHost("thief")
		for _, name := range []string{"early", "small"} {
			if pod := s.virtualPod(name); pod.DeletionTimestamp != nil || pod.Name == "" {
				t.Errorf("pod %s ends, too, want it to stay", name)
			}
		}
	})
	t.Run("a resource that the host gets is the host's", func(t *testing.T) {
		s := s.within(t)
		s.tell(string(gpu), string(foo))
		if asked := s.hostPod("thief").Spec.Containers[0].Resources.Requests; asked.Name(foo, resource.DecimalSI).Value() != 1 {
			t.Errorf("the host is asked for %v, want %s among it", asked, foo)
		}
		framework.Eventually(t, "the node inside has no more than the host says", func(ctx context.Context) (bool, error) {
			node, err := s.virtual.CoreV1().Nodes().Get(ctx, one, metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			_, found := node.Status.Capacity[foo]
			return !found, nil
		})
	})
}
