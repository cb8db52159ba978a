// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"
)

// TestDropped wants what a host leaves out of a pod to be named, and nothing that it adds or changes.
func TestDropped(t *testing.T) {
	sent := &corev1.Pod{Spec: corev1.PodSpec{
		HostUsers: ptr.To(false), Hostname: "web", HostnameOverride: ptr.To("web.example.org"),
		Resources:   &corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}},
		Tolerations: []corev1.Toleration{{Key: "one", TolerationSeconds: ptr.To[int64](3)}},
		Containers: []corev1.Container{
			{Name: "app", Image: "app:1", RestartPolicy: ptr.To(corev1.ContainerRestartPolicyNever), RestartPolicyRules: []corev1.ContainerRestartRule{{Action: "Restart"}},
				Env: []corev1.EnvVar{{Name: "KEY", ValueFrom: &corev1.EnvVarSource{FileKeyRef: &corev1.FileKeySelector{VolumeName: "data", Path: "env", Key: "KEY"}}}}},
		},
	}}
	for name, test := range map[string]struct {
		change func(*corev1.PodSpec)
		want   []string
	}{
		"nothing": {func(*corev1.PodSpec) {}, nil},
		"fields of a pod": {func(s *corev1.PodSpec) { s.HostUsers, s.HostnameOverride, s.Resources = nil, nil, nil },
			[]string{"spec.hostUsers", "spec.hostnameOverride", "spec.resources"}},
		"fields of a container": {func(s *corev1.PodSpec) { s.Containers[0].RestartPolicyRules, s.Containers[0].RestartPolicy = nil, nil },
			[]string{"spec.containers[app].restartPolicy", "spec.containers[app].restartPolicyRules"}},
		"beside a container that the host adds": {func(s *corev1.PodSpec) {
			s.Containers[0].Env[0].ValueFrom.FileKeyRef = nil
			s.Containers = append([]corev1.Container{{Name: "mesh"}}, s.Containers...)
		}, []string{"spec.containers[app].env[KEY].valueFrom.fileKeyRef"}},
		"an item without a name": {func(s *corev1.PodSpec) { s.Tolerations[0].TolerationSeconds = nil }, []string{"spec.tolerations[0].tolerationSeconds"}},
		"other values, and what is added": {func(s *corev1.PodSpec) {
			s.Hostname, s.Containers[0].Image, s.Priority = "other", "mirror/app:1", ptr.To[int32](7)
			s.Tolerations = append([]corev1.Toleration{{Key: "two"}}, s.Tolerations...)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			made := sent.DeepCopy()
			test.change(&made.Spec)
			if got := dropped(sent, made); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
