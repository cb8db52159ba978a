// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"garret.dev/garret/test/framework"
)

// running makes a pod inside and has the host run it on a node of the test's own.
func (s *side) running(name string, spec corev1.PodSpec) (virtual, host *corev1.Pod) {
	s.t.Helper()
	virtual = s.createPod(name, spec)
	host = s.hostPod(name)
	s.schedule(host, "node-"+s.namespace)
	framework.Eventually(s.t, "pod "+name+" is running inside", func(context.Context) (bool, error) {
		return s.virtualPod(name).Status.Phase == corev1.PodRunning, nil
	})
	return virtual, host
}

// setReadyOnHost plays the kubelet.
func (s *side) setReadyOnHost(name string, ready corev1.ConditionStatus) {
	s.t.Helper()
	patch := `{"status":{"conditions":[{"type":"Ready","status":"` + string(ready) + `"}]}}`
	_, err := s.host.CoreV1().Pods(s.hostNamespace).Patch(s.t.Context(), s.translator.HostName(s.namespace, name),
		types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	s.must(err)
}

func (s *side) awaitReadyInside(name string, want corev1.ConditionStatus) {
	s.t.Helper()
	framework.Eventually(s.t, "pod "+name+" has Ready "+string(want)+" inside", func(context.Context) (bool, error) {
		for _, condition := range s.virtualPod(name).Status.Conditions {
			if condition.Type == corev1.PodReady {
				return condition.Status == want, nil
			}
		}
		return false, nil
	})
}

// TestRefusedChangeDoesNotStopTheStatus has the host refuse a resize, and wants what
// happens to the pod to be reported on.
func TestRefusedChangeDoesNotStopTheStatus(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	_, err := s.host.CoreV1().LimitRanges(s.hostNamespace).Create(ctx, &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Name: "small"},
		Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer, Max: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}}}}}, metav1.CreateOptions{})
	s.must(err)
	cpu := func(quantity string) corev1.ResourceRequirements {
		list := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(quantity)}
		return corev1.ResourceRequirements{Requests: list, Limits: list}
	}
	virtual, _ := s.running("web", corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "busybox:1", Resources: cpu("100m")}}})
	s.setReadyOnHost("web", corev1.ConditionTrue)
	s.awaitReadyInside("web", corev1.ConditionTrue)

	framework.Eventually(t, "the pod is resized inside", func(ctx context.Context) (bool, error) {
		pod := s.virtualPod("web")
		pod.Spec.Containers[0].Resources = cpu("1500m")
		_, err := s.virtual.CoreV1().Pods(s.namespace).UpdateResize(ctx, "web", pod, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) {
			return false, nil
		}
		return err == nil, err
	})
	if message := s.awaitEvent(virtual.UID, "HostRefused"); !strings.Contains(message, "1500m") {
		t.Errorf("event: got %q, want what was refused", message)
	}
	s.setReadyOnHost("web", corev1.ConditionFalse)
	s.awaitReadyInside("web", corev1.ConditionFalse)

	// Another part of the pod is carried over all the same.
	_, err = s.virtual.CoreV1().Pods(s.namespace).Patch(ctx, "web", types.MergePatchType, []byte(`{"metadata":{"labels":{"tier":"front"}}}`), metav1.PatchOptions{})
	s.must(err)
	framework.Eventually(t, "the label is on the host", func(context.Context) (bool, error) {
		return s.hostPod("web").Labels["tenant.garret.dev/tier"] == "front", nil
	})
}

// TestImageThatTheHostChangedStays plays an admission policy of the host that has
// images come from a mirror.
func TestImageThatTheHostChangedStays(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	_, host := s.running("web", corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}, {Name: "other", Image: "busybox:1"}}})
	pods := s.host.CoreV1().Pods(s.hostNamespace)
	_, err := pods.Patch(ctx, host.Name, types.StrategicMergePatchType, []byte(`{"spec":{"containers":[{"name":"app","image":"mirror.example/busybox:1"},{"name":"other","image":"mirror.example/busybox:1"}]}}`), metav1.PatchOptions{})
	s.must(err)
	change := func(patch string) {
		t.Helper()
		_, err := s.virtual.CoreV1().Pods(s.namespace).Patch(ctx, "web", types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
		s.must(err)
	}
	debugged := s.virtualPod("web")
	debugged.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "busybox:1", TerminationMessagePolicy: corev1.TerminationMessageReadFile}}}
	_, err = s.virtual.CoreV1().Pods(s.namespace).UpdateEphemeralContainers(ctx, "web", debugged, metav1.UpdateOptions{})
	s.must(err)
	framework.Eventually(t, "the debug container is on the host", func(context.Context) (bool, error) {
		return len(s.hostPod("web").Spec.EphemeralContainers) == 1, nil
	})
	change(`{"metadata":{"labels":{"tier":"front"}}}`)
	framework.Eventually(t, "the label is on the host", func(context.Context) (bool, error) {
		return s.hostPod("web").Labels["tenant.garret.dev/tier"] == "front", nil
	})
	if got := s.hostPod("web").Spec.Containers[0].Image; got != "mirror.example/busybox:1" {
		t.Errorf("image on the host: got %s, want the mirror's", got)
	}
	change(`{"spec":{"containers":[{"name":"app","image":"busybox:2"}]}}`)
	framework.Eventually(t, "another image that is asked for is on the host", func(context.Context) (bool, error) {
		return s.hostPod("web").Spec.Containers[0].Image == "busybox:2", nil
	})
	if got := s.hostPod("web").Spec.Containers[1].Image; got != "mirror.example/busybox:1" {
		t.Errorf("image of the other container on the host: got %s, want the mirror's", got)
	}
}

// TestForcedDeletion deletes a pod with a long grace period by force.
func TestForcedDeletion(t *testing.T) {
	s := setUp(t)
	spec := podSpec()
	spec.TerminationGracePeriodSeconds = ptr.To[int64](600)
	s.running("slow", spec)
	// As who lost patience does.
	s.must(s.virtual.CoreV1().Pods(s.namespace).Delete(t.Context(), "slow", metav1.DeleteOptions{}))
	framework.Eventually(t, "the host pod is given all its time", func(context.Context) (bool, error) {
		return ptr.Deref(s.hostPod("slow").DeletionGracePeriodSeconds, 0) == 600, nil
	})
	s.must(s.virtual.CoreV1().Pods(s.namespace).Delete(t.Context(), "slow", metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}))
	framework.Eventually(t, "the host pod is given a second to end", func(ctx context.Context) (bool, error) {
		host, err := s.host.CoreV1().Pods(s.hostNamespace).Get(ctx, s.translator.HostName(s.namespace, "slow"), metav1.GetOptions{})
		return err == nil && ptr.Deref(host.DeletionGracePeriodSeconds, 600) == 1, err
	})
}

// TestNodeInsideIsUntainted wants a node that is ready inside to be one that a
// scheduler would use.
func TestNodeInsideIsUntainted(t *testing.T) {
	s := setUp(t)
	s.running("web", podSpec())
	framework.Eventually(t, "the node inside has no taint", func(ctx context.Context) (bool, error) {
		node, err := s.virtual.CoreV1().Nodes().Get(ctx, "node-"+s.namespace, metav1.GetOptions{})
		return err == nil && len(node.Spec.Taints) == 0, err
	})
}

// TestHealthCheckPort wants load balancers to find the same port on the host that
// the Service shows inside, whether it was made with that policy or is changed to it,
// and later changes to get through.
func TestHealthCheckPort(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	services := s.virtual.CoreV1().Services(s.namespace)
	// API servers do not give out the first ports of the range unless they are asked, so
	// that no other test has taken these.
	local := corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal, HealthCheckNodePort: 30001}
	for name, spec := range map[string]corev1.ServiceSpec{"made": local, "changed": {}} {
		spec.Selector, spec.Ports = map[string]string{"a": "b"}, []corev1.ServicePort{{Name: "http", Port: 80}}
		_, err := services.Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}, metav1.CreateOptions{})
		s.must(err)
	}
	for name, patch := range map[string]string{
		"made":    `{"spec":{"ports":[{"name":"web","port":80}]}}`,
		"changed": `{"spec":{"type":"LoadBalancer","externalTrafficPolicy":"Local","healthCheckNodePort":30002,"ports":[{"name":"web","port":80}]}}`,
	} {
		same := func(portName string) {
			framework.Eventually(t, "the host checks the health of "+name+" on the port that is shown inside", func(ctx context.Context) (bool, error) {
				host, err := s.host.CoreV1().Services(s.hostNamespace).Get(ctx, s.translator.HostName(s.namespace, name), metav1.GetOptions{})
				if err != nil {
					return false, nil
				}
				virtual, err := services.Get(ctx, name, metav1.GetOptions{})
				return err == nil && virtual.Spec.HealthCheckNodePort != 0 && host.Spec.HealthCheckNodePort == virtual.Spec.HealthCheckNodePort &&
					host.Spec.Ports[0].Name == portName, err
			})
		}
		if name == "made" {
			same("http")
		}
		_, err := services.Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		s.must(err)
		same("web")
	}
}
