// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package projected

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// TestModeKeepsFilesToThePod has files open to others only where nobody else could give the
// user of the pod a right to them.
func TestModeKeepsFilesToThePod(t *testing.T) {
	as := func(user int64) corev1.Container {
		return corev1.Container{SecurityContext: &corev1.SecurityContext{RunAsUser: ptr.To(user)}}
	}
	pod := func(user, group *int64, containers ...corev1.Container) *corev1.PodSpec {
		return &corev1.PodSpec{Containers: containers, SecurityContext: &corev1.PodSecurityContext{RunAsUser: user, FSGroup: group}}
	}
	root, other := ptr.To[int64](0), ptr.To[int64](1000)
	for name, test := range map[string]struct {
		spec   *corev1.PodSpec
		closed bool
	}{
		"nothing said":                  {&corev1.PodSpec{Containers: []corev1.Container{{}}}, false},
		"a group for volumes":           {pod(nil, other, corev1.Container{}), true},
		"a group, and another user":     {pod(other, other, as(1000)), true},
		"another user":                  {pod(other, nil, corev1.Container{}), false},
		"root":                          {pod(root, nil, corev1.Container{}), true},
		"root by its containers":        {pod(nil, nil, as(0), as(0)), true},
		"root by one of its containers": {pod(nil, nil, as(0), corev1.Container{}), false},
		"root, but for one container":   {pod(root, nil, corev1.Container{}, as(1000)), false},
		"another user, but for one":     {pod(other, nil, as(0)), true},
		"root, but for what comes first": {&corev1.PodSpec{
			InitContainers: []corev1.Container{as(1000)}, Containers: []corev1.Container{as(0)},
		}, false},
	} {
		mode := Mode(test.spec)
		if closed := mode != nil && *mode == 0o600; closed != test.closed || !closed && mode != nil {
			t.Errorf("%s: got %v, want closed %v", name, ptr.Deref(mode, -1), test.closed)
		}
	}
}
