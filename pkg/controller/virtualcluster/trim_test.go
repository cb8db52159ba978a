// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"encoding/json"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// TestTrim fills every part of an object that its writer chooses, and wants next to
// nothing of it in the cache.
func TestTrim(t *testing.T) {
	much := strings.Repeat("x", 1<<16)
	filled := metav1.ObjectMeta{
		Name: "vc-demo", Namespace: "team", Labels: map[string]string{tenancyv1.LabelVirtualCluster: "demo", "example.com/" + much[:60]: much},
		Annotations: map[string]string{"example.com/x": much, tenancyv1.AnnotationClusterID: much}, Finalizers: []string{much},
		OwnerReferences: []metav1.OwnerReference{{Name: much}}, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: much}},
	}
	spec := corev1.PodSpec{Containers: []corev1.Container{{Name: "other", Args: []string{much}}, {Name: containerSyncer, Image: much, Args: []string{"--v=2"}}}}
	for what, object := range map[string]metav1.Object{
		"pod":            &corev1.Pod{ObjectMeta: filled, Spec: spec},
		"claim":          &corev1.PersistentVolumeClaim{ObjectMeta: filled, Spec: corev1.PersistentVolumeClaimSpec{VolumeName: much}},
		"service":        &corev1.Service{ObjectMeta: filled, Spec: corev1.ServiceSpec{ExternalName: much}},
		"statefulset":    &appsv1.StatefulSet{ObjectMeta: filled, Spec: appsv1.StatefulSetSpec{Template: corev1.PodTemplateSpec{Spec: spec}}},
		"serviceaccount": &corev1.ServiceAccount{ObjectMeta: filled, Secrets: []corev1.ObjectReference{{Name: much}}},
		"role":           &rbacv1.Role{ObjectMeta: filled, Rules: []rbacv1.PolicyRule{{Verbs: []string{much}}}},
		"rolebinding":    &rbacv1.RoleBinding{ObjectMeta: filled, RoleRef: rbacv1.RoleRef{Name: much}},
	} {
		trimmed, err := trim(object)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(trimmed)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 1<<10 {
			t.Errorf("%s: %d bytes are kept", what, len(data))
		}
		if name, ok := owner(trimmed); !ok || name.Name != "demo" {
			t.Errorf("%s: the virtual cluster that it belongs to is not known any more", what)
		}
		if pod, ok := trimmed.(*corev1.Pod); ok && len(syncerArgs(pod)) != 1 {
			t.Errorf("the pod says nothing of the syncer's arguments: %+v", pod.Spec)
		}
	}
}
