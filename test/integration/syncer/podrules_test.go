// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// TestPodRulesHold gives all pods of a virtual cluster rules, which a tenant attacks, and takes them away again.
func TestPodRulesHold(t *testing.T) {
	s := setUp(t)
	before := s.createPod("before", plain())
	s.hostPod("before")
	s.stop()
	ctx, name := t.Context(), "of-"+s.namespace
	_, err := s.host.NodeV1().RuntimeClasses().Create(ctx, &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Handler: "sandbox"}, metav1.CreateOptions{})
	s.must(err)
	_, err = s.host.SchedulingV1().PriorityClasses().Create(ctx, &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Value: 700}, metav1.CreateOptions{})
	s.must(err)
	_, err = s.virtual.SchedulingV1().PriorityClasses().Create(ctx, &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: "inside-" + name}, Value: 900_000_000}, metav1.CreateOptions{})
	s.must(err)
	t.Cleanup(func() {
		ctx := context.Background()
		_ = s.host.NodeV1().RuntimeClasses().Delete(ctx, name, metav1.DeleteOptions{})
		_ = s.host.SchedulingV1().PriorityClasses().Delete(ctx, name, metav1.DeleteOptions{})
		_ = s.virtual.SchedulingV1().PriorityClasses().Delete(ctx, "inside-"+name, metav1.DeleteOptions{})
	})
	s.rules = tenancyv1.PodRules{
		Images: []tenancyv1.ImageRule{{From: "docker.io", To: "mirror.example.org"}}, NodeSelector: map[string]string{"pool": "gold"},
		Tolerations:     []corev1.Toleration{{Key: "pool", Operator: corev1.TolerationOpExists}},
		PriorityClasses: []tenancyv1.PriorityClassRule{{Name: "inside-" + name, Host: name}, {Name: "system-node-critical", Host: "nowhere"}},
		Labels:          map[string]string{"example.org/account": "4711"}, Annotations: map[string]string{"example.org/account": "$(POD_IP)"},
	}
	s.start()
	has := func(pod string, want bool) *corev1.Pod {
		t.Helper()
		framework.Eventually(t, "the labels and annotations of the rules are as they should be on "+pod, func(context.Context) (bool, error) {
			host := s.hostPod(pod)
			return (host.Labels["example.org/account"] == "4711") == want && (host.Annotations["example.org/account"] == "$(POD_IP)") == want, nil
		})
		return s.hostPod(pod)
	}

	s.createPod("ruled", plain(func(spec *corev1.PodSpec) { spec.PriorityClassName = "inside-" + name }))
	host := has("ruled", true)
	if host.Spec.Containers[0].Image != "mirror.example.org/library/busybox:1" || host.Spec.NodeSelector["pool"] != "gold" || ptr.Deref(host.Spec.Priority, 0) != 700 {
		t.Errorf("got image %s, selector %v, priority %v, want those of the rules", host.Spec.Containers[0].Image, host.Spec.NodeSelector, host.Spec.Priority)
	}
	if inside := s.virtualPod("ruled"); inside.Spec.Containers[0].Image != "busybox:1" || inside.Labels["example.org/account"] != "" || *inside.Spec.Priority != 900_000_000 {
		t.Errorf("inside: got image %s, labels %v, priority %d, want the pod as it was made", inside.Spec.Containers[0].Image, inside.Labels, *inside.Spec.Priority)
	}
	// A pod that waits for a node goes where the rules say by now, and is the same inside.
	framework.Eventually(t, "the pod of before goes to the pool", func(context.Context) (bool, error) {
		return s.hostPod("before").Spec.NodeSelector["pool"] == "gold", nil
	})
	has("before", true)
	if now := s.virtualPod("before"); now.UID != before.UID {
		t.Error("the pod of before was made again inside")
	}

	s.forbidden("escape", plain(func(spec *corev1.PodSpec) { spec.NodeSelector = map[string]string{"pool": "silver"} }),
		`spec.nodeSelector[pool] "silver" is refused`, "spec.syncer.pods of the VirtualCluster")
	// The label of a node inside is the tenant's to give, and does not lead out of the pool.
	s.schedule(s.hostPod("ruled"), "node-"+s.namespace)
	framework.Eventually(t, "the node inside has a label of the tenant's", func(ctx context.Context) (bool, error) {
		_, err := s.virtual.CoreV1().Nodes().Patch(ctx, "node-"+s.namespace, types.MergePatchType, []byte(`{"metadata":{"labels":{"pool":"bronze"}}}`), metav1.PatchOptions{})
		return err == nil, nil
	})
	_, err = s.virtual.CoreV1().Pods(s.namespace).Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "labelled", Labels: map[string]string{"example.org/account": "another"}, Annotations: map[string]string{"example.org/account": "another"}},
		Spec:       plain(func(spec *corev1.PodSpec) { spec.NodeSelector = map[string]string{"pool": "bronze"} }),
	}, metav1.CreateOptions{})
	s.must(err)
	if host := has("labelled", true); host.Spec.NodeSelector["pool"] != "gold" {
		t.Errorf("got selector %v, want that of the rules", host.Spec.NodeSelector)
	}
	// An image that comes later comes from the mirror, too.
	_, err = s.virtual.CoreV1().Pods(s.namespace).Patch(ctx, "ruled", types.StrategicMergePatchType, []byte(`{"spec":{"containers":[{"name":"app","image":"busybox:2"}]}}`), metav1.PatchOptions{})
	s.must(err)
	framework.Eventually(t, "the new image comes from the mirror", func(context.Context) (bool, error) {
		return s.hostPod("ruled").Spec.Containers[0].Image == "mirror.example.org/library/busybox:2", nil
	})
	// Where the host has no class of a rule, the pod does not run with another.
	critical := s.createPod("critical", plain(func(spec *corev1.PodSpec) { spec.PriorityClassName = "system-node-critical" }))
	if message := s.awaitEvent(critical.UID, "HostRefused"); !strings.Contains(message, "nowhere") {
		t.Errorf("event: got %q, want the class that the host has not", message)
	}

	s.stop()
	s.rules = tenancyv1.PodRules{RuntimeClassName: name}
	s.start()
	has("ruled", false)
	s.createPod("sandboxed", plain(func(spec *corev1.PodSpec) { spec.RuntimeClassName = nil }))
	if host := s.hostPod("sandboxed"); ptr.Deref(host.Spec.RuntimeClassName, "") != name {
		t.Errorf("got class %v, want that of the rules", host.Spec.RuntimeClassName)
	}
}
