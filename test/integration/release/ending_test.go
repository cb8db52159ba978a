// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// year is the grace period that a tenant gives a pod, in seconds.
const year = 365 * 24 * 60 * 60

// slowNode is a node whose kubelet never stops a pod.
const slowNode = "n"

// slowPod puts a pod on the host as a syncer would, on a node whose kubelet never
// stops it.
func (v tenant) slowPod(name, id string) {
	v.t.Helper()
	_, err := shared.kube.CoreV1().Pods(v.ns).Create(v.t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{tenancyv1.LabelCluster: id}, Annotations: map[string]string{tenancyv1.AnnotationVirtualName: name}},
		Spec: corev1.PodSpec{
			NodeName: slowNode, TerminationGracePeriodSeconds: ptr.To[int64](year),
			Containers: []corev1.Container{{Name: "c", Image: "i"}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		v.t.Fatal(err)
	}
}

// TestYearOfTerminating deletes a virtual cluster, or the whole namespace, that holds a
// pod with a grace period of a year. Nothing here would stop the pod before.
func TestYearOfTerminating(t *testing.T) {
	for what, remove := range map[string]func(v tenant) error{
		"the virtual cluster": func(v tenant) error {
			return v.clusters().Delete(v.t.Context(), "demo", metav1.DeleteOptions{})
		},
		"the namespace": func(v tenant) error {
			return shared.kube.CoreV1().Namespaces().Delete(v.t.Context(), v.ns, metav1.DeleteOptions{})
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			v := newTenant(t)
			v.create(nil)
			vc := v.makeReady()
			v.slowPod("slow", vc.Status.ClusterID)
			if err := remove(v); err != nil {
				t.Fatal(err)
			}
			framework.Succeeds(t, "the pod is given no more time than there is", func(ctx context.Context) error {
				pod, err := shared.kube.CoreV1().Pods(v.ns).Get(ctx, "slow", metav1.GetOptions{})
				if err != nil {
					return err
				}
				if grace := ptr.Deref(pod.DeletionGracePeriodSeconds, 0); pod.DeletionTimestamp == nil || grace < 1 || grace > int64(teardownGrace/time.Second) {
					return fmt.Errorf("deletion at %v, after %d s", pod.DeletionTimestamp, grace)
				}
				return nil
			})
			framework.Succeeds(t, "the condition says what is waited for and until when", func(ctx context.Context) error {
				vc, err := v.get(ctx)
				if err != nil {
					return err
				}
				deleted := vc.DeletionTimestamp
				if deleted == nil {
					// The host keeps it until the pods are gone.
					namespace, err := shared.kube.CoreV1().Namespaces().Get(ctx, v.ns, metav1.GetOptions{})
					if err != nil {
						return err
					}
					deleted = namespace.DeletionTimestamp
				}
				until := deleted.Add(teardownGrace).UTC().Format(time.RFC3339)
				ready := meta.FindStatusCondition(vc.Status.Conditions, tenancyv1.ConditionReady)
				if ready == nil || vc.Status.Phase != tenancyv1.PhaseTerminating || !strings.Contains(ready.Message, "1 synced pod") || !strings.Contains(ready.Message, until) {
					return fmt.Errorf("got %+v, want it to name the pod and %s", ready, until)
				}
				return nil
			})
			v.clock.Push(teardownGrace + time.Minute)
			framework.Succeeds(t, "the virtual cluster is gone, and its pod", func(ctx context.Context) error {
				pods, err := shared.kube.CoreV1().Pods(v.ns).List(ctx, metav1.ListOptions{})
				if err != nil {
					return err
				}
				if vc, err := v.get(ctx); !apierrors.IsNotFound(err) {
					return fmt.Errorf("%d pods, and the virtual cluster is there: %+v %w", len(pods.Items), vc.Status.Conditions, err)
				}
				if len(pods.Items) > 0 {
					return fmt.Errorf("%d pods are there", len(pods.Items))
				}
				return nil
			})
			if what == "the namespace" {
				framework.Succeeds(t, "the namespace is gone", func(ctx context.Context) error {
					namespace, err := shared.kube.CoreV1().Namespaces().Get(ctx, v.ns, metav1.GetOptions{})
					if apierrors.IsNotFound(err) {
						return nil
					}
					return fmt.Errorf("%+v %w", namespace.Status.Conditions, err)
				})
				return
			}
			v.event("PodsDeletedByForce")
		})
	}
}
