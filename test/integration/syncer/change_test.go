// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"garret.dev/garret/test/framework"
)

// TestPodChanges makes each change that Kubernetes allows on a pod that runs.
func TestPodChanges(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	spec := podSpec()
	spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "example.org/gate"}}
	spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")}
	s.createPod("web", spec)
	s.schedule(s.hostPod("web"), "node-"+s.namespace)
	framework.Eventually(t, "the virtual pod runs", func(context.Context) (bool, error) { return s.virtualPod("web").Status.Phase == corev1.PodRunning, nil })
	pods := s.virtual.CoreV1().Pods(s.namespace)

	tests := []struct {
		name   string
		change func() error
		holds  func(host *corev1.Pod) bool
	}{
		{"image", func() error {
			_, err := pods.Patch(ctx, "web", types.StrategicMergePatchType, []byte(`{"spec":{"containers":[{"name":"app","image":"busybox:2"}]}}`), metav1.PatchOptions{})
			return err
		}, func(host *corev1.Pod) bool { return host.Spec.Containers[0].Image == "busybox:2" }},
		{"deadline", func() error {
			_, err := pods.Patch(ctx, "web", types.MergePatchType, []byte(`{"spec":{"activeDeadlineSeconds":4000}}`), metav1.PatchOptions{})
			return err
		}, func(host *corev1.Pod) bool { return ptr.Deref(host.Spec.ActiveDeadlineSeconds, 0) == 4000 }},
		{"ephemeral container", func() error {
			pod := s.virtualPod("web")
			pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{TargetContainerName: "app",
				EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "busybox:1"}}}
			_, err := pods.UpdateEphemeralContainers(ctx, "web", pod, metav1.UpdateOptions{})
			return err
		}, func(host *corev1.Pod) bool {
			return len(host.Spec.EphemeralContainers) == 1 && host.Spec.EphemeralContainers[0].Name == "debug" && host.Spec.EphemeralContainers[0].TargetContainerName == "app"
		}},
		{"resources", func() error {
			pod := s.virtualPod("web")
			pod.Spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = resource.MustParse("200m")
			_, err := pods.UpdateResize(ctx, "web", pod, metav1.UpdateOptions{})
			return err
		}, func(host *corev1.Pod) bool {
			return host.Spec.Containers[0].Resources.Requests.Cpu().String() == "200m"
		}},
		{"readiness gate", func() error {
			_, err := pods.Patch(ctx, "web", types.StrategicMergePatchType,
				[]byte(`{"status":{"conditions":[{"type":"example.org/gate","status":"True"}]}}`), metav1.PatchOptions{}, "status")
			return err
		}, func(host *corev1.Pod) bool {
			for _, condition := range host.Status.Conditions {
				if condition.Type == "example.org/gate" {
					return condition.Status == corev1.ConditionTrue
				}
			}
			return false
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := s.within(t)
			// The syncer reports at the same time: a conflict is tried again.
			framework.Eventually(t, "the change is made", func(context.Context) (bool, error) {
				err := test.change()
				if err != nil && !apierrors.IsConflict(err) {
					t.Fatal(err)
				}
				return err == nil, nil
			})
			framework.Eventually(t, test.name+" is changed on the host", func(context.Context) (bool, error) { return test.holds(s.hostPod("web")), nil })
		})
	}
}

// TestResizeOfThePod resizes what is asked for the pod as such.
func TestResizeOfThePod(t *testing.T) {
	s := setUp(t)
	asks := func(cpu string) *corev1.ResourceRequirements {
		return &corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}}
	}
	s.createPod("web", corev1.PodSpec{Resources: asks("100m"), Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}}})
	s.schedule(s.hostPod("web"), "node-"+s.namespace)
	framework.Eventually(t, "the virtual pod runs", func(context.Context) (bool, error) { return s.virtualPod("web").Status.Phase == corev1.PodRunning, nil })
	framework.Eventually(t, "the pod is resized", func(ctx context.Context) (bool, error) {
		pod := s.virtualPod("web")
		pod.Spec.Resources = asks("200m")
		_, err := s.virtual.CoreV1().Pods(s.namespace).UpdateResize(ctx, "web", pod, metav1.UpdateOptions{})
		return !apierrors.IsConflict(err), err
	})
	framework.Eventually(t, "the resources are changed on the host", func(context.Context) (bool, error) {
		host := s.hostPod("web")
		return host.Spec.Resources != nil && host.Spec.Resources.Requests.Cpu().String() == "200m", nil
	})
}

// TestGatedPodWaits has a pod wait inside until its scheduling gates are gone.
func TestGatedPodWaits(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	spec := podSpec()
	spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.org/wait"}}
	s.createPod("gated", spec)
	// What is made later and reaches the host shows that the gated pod was passed over.
	s.createPod("free", podSpec())
	s.hostPod("free")
	if _, err := s.host.CoreV1().Pods(s.hostNamespace).Get(ctx, s.translator.HostName(s.namespace, "gated"), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a gated pod is on the host: %v", err)
	}
	_, err := s.virtual.CoreV1().Pods(s.namespace).Patch(ctx, "gated", types.JSONPatchType, []byte(`[{"op":"remove","path":"/spec/schedulingGates"}]`), metav1.PatchOptions{})
	s.must(err)
	s.hostPod("gated")
}
