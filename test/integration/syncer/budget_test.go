// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// TestBudgetHoldsOnTheHost asks for a percentage of pods that a controller inside
// made: the host, which knows of no such controller, is to count all the same.
func TestBudgetHoldsOnTheHost(t *testing.T) {
	s := setUp(t)
	ctx := t.Context()
	labels := map[string]string{"app": "web"}
	selector := &metav1.LabelSelector{MatchLabels: labels}
	_, err := s.virtual.AppsV1().ReplicaSets(s.namespace).Create(ctx, &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.ReplicaSetSpec{Replicas: ptr.To[int32](2), Selector: selector, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "busybox:1"}}}}}}, metav1.CreateOptions{})
	s.must(err)
	budgets := s.virtual.PolicyV1().PodDisruptionBudgets(s.namespace)
	_, err = budgets.Create(ctx, &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: policyv1.PodDisruptionBudgetSpec{
		Selector: selector, MinAvailable: ptr.To(intstr.FromString("100%")), UnhealthyPodEvictionPolicy: ptr.To(policyv1.AlwaysAllow)}}, metav1.CreateOptions{})
	s.must(err)
	var pods *corev1.PodList
	framework.Eventually(t, "both pods are on the host", func(ctx context.Context) (bool, error) {
		pods, err = s.host.CoreV1().Pods(s.hostNamespace).List(ctx, metav1.ListOptions{LabelSelector: tenancyv1.LabelVirtualNamespace + "=" + s.namespace})
		return err == nil && len(pods.Items) == 2, err
	})
	for i := range pods.Items {
		s.schedule(&pods.Items[i], "node-"+s.namespace)
	}
	hostBudget := func(is func(policyv1.PodDisruptionBudget) bool) func(ctx context.Context) (bool, error) {
		return func(ctx context.Context) (bool, error) {
			found, err := s.host.PolicyV1().PodDisruptionBudgets(s.hostNamespace).Get(ctx, s.translator.HostName(s.namespace, "web"), metav1.GetOptions{})
			return err == nil && is(*found), nil
		}
	}
	framework.Eventually(t, "the host counts two healthy pods and allows none to go", hostBudget(func(b policyv1.PodDisruptionBudget) bool {
		return b.Spec.MinAvailable.IntValue() == 2 && b.Status.CurrentHealthy == 2 && b.Status.DisruptionsAllowed == 0 &&
			ptr.Deref(b.Spec.UnhealthyPodEvictionPolicy, "") == policyv1.AlwaysAllow
	}))
	evict := func() error {
		return s.host.PolicyV1().Evictions(s.hostNamespace).Evict(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pods.Items[0].Name, Namespace: s.hostNamespace}})
	}
	if err := evict(); !apierrors.IsTooManyRequests(err) || !strings.Contains(err.Error(), "disruption budget") {
		t.Errorf("an eviction that the budget forbids: got %v, want a refusal", err)
	}
	_, err = budgets.Patch(ctx, "web", types.MergePatchType, []byte(`{"spec":{"minAvailable":1}}`), metav1.PatchOptions{})
	s.must(err)
	framework.Eventually(t, "the host allows one to go", hostBudget(func(b policyv1.PodDisruptionBudget) bool { return b.Status.DisruptionsAllowed == 1 }))
	s.must(evict())
}
