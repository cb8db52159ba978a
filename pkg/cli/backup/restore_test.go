// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// TestRestorePodRunsNothingElse: a plugin beside garret-apiserver may be what is broken.
func TestRestorePodRunsNothingElse(t *testing.T) {
	set := &appsv1.StatefulSet{}
	set.Spec.Template.Spec = corev1.PodSpec{
		InitContainers: []corev1.Container{{Name: "kms-plugin", RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways)}},
		Containers:     []corev1.Container{{Name: containerName, Image: "garret/apiserver"}},
	}
	spec := (&installation{set: set}).restorePod("abc", false).Spec
	if len(spec.InitContainers) != 0 || len(spec.Containers) != 1 || spec.Containers[0].Image != "garret/apiserver" {
		t.Errorf("runs %v beside %v, want garret-apiserver's image alone", spec.InitContainers, spec.Containers)
	}
	if len(set.Spec.Template.Spec.InitContainers) != 1 {
		t.Error("the template of garret-apiserver itself was changed")
	}
}
