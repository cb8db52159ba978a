// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/quota"
	"garret.dev/garret/test/framework"
)

// exceeds wants an object inside to be told that the virtual cluster has no more.
func (s *side) exceeds(uid types.UID, words string) {
	s.t.Helper()
	message := s.awaitEvent(uid, "QuotaExceeded")
	if !strings.Contains(message, words) || !strings.Contains(message, "the owner of the VirtualCluster "+s.hostNamespace+"/demo can raise spec.isolation.quota.hard[") {
		t := s.t
		t.Errorf("event: got %q, want %q in it, and who can raise it", message, words)
	}
}

// alone ends what earlier tests left inside, which counts as well.
func (s *side) alone() {
	s.t.Helper()
	zero := metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}
	namespaces, err := s.virtual.CoreV1().Namespaces().List(s.t.Context(), metav1.ListOptions{})
	s.must(err)
	for _, namespace := range namespaces.Items {
		s.must(s.virtual.AppsV1().ReplicaSets(namespace.Name).DeleteCollection(s.t.Context(), zero, metav1.ListOptions{}))
		s.must(s.virtual.CoreV1().Pods(namespace.Name).DeleteCollection(s.t.Context(), zero, metav1.ListOptions{}))
	}
	framework.Eventually(s.t, "nothing is used", func(ctx context.Context) (bool, error) {
		s.must(s.host.CoreV1().Pods(s.hostNamespace).DeleteCollection(ctx, zero, metav1.ListOptions{}))
		pods, err := s.virtual.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		secrets, err := s.host.CoreV1().Secrets(s.hostNamespace).List(ctx, metav1.ListOptions{LabelSelector: tenancyv1.LabelCluster})
		return len(pods.Items) == 0 && len(secrets.Items) == 0, err
	})
}

// TestQuotaOfTheVirtualCluster has many pods race for few places that the host itself
// does not bound, and the quota be raised, lowered and freed.
func TestQuotaOfTheVirtualCluster(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	t.Cleanup(s.clear)
	bound := func(size string) {
		s.ledger.Set(quota.Bounds{Hard: corev1.ResourceList{corev1.ResourceRequestsEphemeralStorage: resource.MustParse(size)}})
	}
	bound("3Gi")
	before := s.refusedCreates("pods")
	pods := map[string]*corev1.Pod{}
	for i := range 40 {
		pod := s.createPod(fmt.Sprintf("web-%02d", i), stored("1Gi"))
		pods[s.translator.HostName(s.namespace, pod.Name)] = pod
	}
	on := func(want int) {
		t.Helper()
		framework.Eventually(t, fmt.Sprint(want, " pods are on the host"), func(context.Context) (bool, error) {
			return len(s.carriedPods()) == want, nil
		})
		time.Sleep(time.Second)
		if got := len(s.carriedPods()); got != want {
			t.Errorf("got %d pods on the host a second later, want %d", got, want)
		}
	}
	on(3)
	carried := map[string]bool{}
	for _, pod := range s.carriedPods() {
		carried[pod.Name] = true
	}
	for name, pod := range pods {
		if !carried[name] {
			s.exceeds(pod.UID, "exceeded quota of the virtual cluster: requested requests.ephemeral-storage=1Gi, used requests.ephemeral-storage=3Gi, limited requests.ephemeral-storage=3Gi")
		}
	}
	if secrets := s.carriedSecrets(); len(secrets) != 3 {
		t.Errorf("got %d secrets on the host, want those of three pods", len(secrets))
	}
	bound("5Gi")
	on(5)
	bound("1Gi")
	on(5)
	bound("5Gi")
	for name := range carried {
		s.must(s.virtual.CoreV1().Pods(s.namespace).Delete(ctx, pods[name].Name, metav1.DeleteOptions{}))
		break
	}
	on(5)
	if asked := s.refusedCreates("pods") - before; asked > 0 {
		t.Errorf("the host refused %d creates, want it never to be asked", asked)
	}
	if _, used, _ := s.ledger.Status(); used.Name(corev1.ResourceRequestsEphemeralStorage, resource.BinarySI).String() != "5Gi" {
		t.Errorf("used: got %v, want 5Gi", used)
	}
}

// TestQuotaHoldsForChanges has a pod be resized, and a Service become a load balancer,
// beyond the quota. What is on the host stays, and what else changes is carried.
func TestQuotaHoldsForChanges(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	s.alone()
	t.Cleanup(s.clear)
	virtual, _ := s.running("web", limited("500m"))
	service, err := s.virtual.CoreV1().Services(s.namespace).Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{})
	s.must(err)
	hostService := func() *corev1.Service {
		found, err := s.host.CoreV1().Services(s.hostNamespace).Get(ctx, s.translator.HostName(s.namespace, "web"), metav1.GetOptions{})
		if err != nil {
			return &corev1.Service{}
		}
		return found
	}
	framework.Eventually(t, "the service is on the host", func(context.Context) (bool, error) { return hostService().UID != "", nil })
	s.ledger.Set(quota.Bounds{Hard: corev1.ResourceList{
		corev1.ResourceLimitsCPU: resource.MustParse("1"), corev1.ResourceServicesLoadBalancers: resource.MustParse("0"), corev1.ResourceServicesNodePorts: resource.MustParse("1")}})

	framework.Eventually(t, "the pod is resized inside", func(ctx context.Context) (bool, error) {
		pod := s.virtualPod("web")
		pod.Spec.Containers[0].Resources = limited("1500m").Containers[0].Resources
		_, err := s.virtual.CoreV1().Pods(s.namespace).UpdateResize(ctx, "web", pod, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) {
			return false, nil
		}
		return err == nil, err
	})
	s.exceeds(virtual.UID, "requested limits.cpu=1, used limits.cpu=500m, limited limits.cpu=1")
	_, err = s.virtual.CoreV1().Pods(s.namespace).Patch(ctx, "web", types.MergePatchType, []byte(`{"metadata":{"labels":{"tier":"front"}}}`), metav1.PatchOptions{})
	s.must(err)
	framework.Eventually(t, "the label is on the host", func(context.Context) (bool, error) {
		return s.hostPod("web").Labels["tenant.garret.dev/tier"] == "front", nil
	})
	if got := s.hostPod("web").Spec.Containers[0].Resources.Limits.Cpu().String(); got != "500m" {
		t.Errorf("CPU on the host: got %s, want what there was", got)
	}

	become := func(kind corev1.ServiceType) {
		_, err := s.virtual.CoreV1().Services(s.namespace).Patch(ctx, "web", types.MergePatchType, []byte(`{"spec":{"type":"`+string(kind)+`"}}`), metav1.PatchOptions{})
		s.must(err)
	}
	become(corev1.ServiceTypeLoadBalancer)
	s.exceeds(service.UID, "requested services.loadbalancers=1, used services.loadbalancers=0, limited services.loadbalancers=0")
	if got := hostService().Spec.Type; got != corev1.ServiceTypeClusterIP {
		t.Errorf("type on the host: got %s, want what it was", got)
	}
	become(corev1.ServiceTypeNodePort)
	framework.Eventually(t, "the service has the node port that fits", func(context.Context) (bool, error) {
		return hostService().Spec.Type == corev1.ServiceTypeNodePort, nil
	})
}

// TestQuotaCountsWhatPodsBring has a pod refer to many secrets. What does not fit is not
// brought, and a pod whose tokens do not fit waits for them on the host.
func TestQuotaCountsWhatPodsBring(t *testing.T) {
	s := setUp(t)
	s.alone()
	t.Cleanup(s.clear)
	bound := func(secrets int64) {
		s.ledger.Set(quota.Bounds{Hard: corev1.ResourceList{corev1.ResourceSecrets: *resource.NewQuantity(secrets, resource.DecimalSI)}})
	}
	bound(10)
	container := corev1.Container{Name: "app", Image: "busybox:1"}
	for i := range 30 {
		secret, err := s.virtual.CoreV1().Secrets(s.namespace).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("login-", i)}}, metav1.CreateOptions{})
		s.must(err)
		container.EnvFrom = append(container.EnvFrom, corev1.EnvFromSource{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: secret.Name}}})
	}
	s.createPod("greedy", corev1.PodSpec{AutomountServiceAccountToken: ptr.To(false), Containers: []corev1.Container{container}})
	s.hostPod("greedy")
	late := s.createPod("late", corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}}})
	s.exceeds(late.UID, "requested secrets=1")
	if got := len(s.carriedSecrets()); got != 10 {
		t.Errorf("got %d secrets on the host, want 10", got)
	}
	host, err := s.host.CoreV1().Pods(s.hostNamespace).Get(t.Context(), s.translator.HostName(s.namespace, "late"), metav1.GetOptions{})
	s.must(err)
	if len(host.Spec.SchedulingGates) != 1 {
		t.Error("a pod without its tokens may begin")
	}
	bound(31)
	s.hostPod("late")
	framework.Eventually(t, "all secrets are on the host", func(context.Context) (bool, error) { return len(s.carriedSecrets()) == 31, nil })
}
