// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
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
