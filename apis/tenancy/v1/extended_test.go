// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestIsExtendedResource(t *testing.T) {
	for name, want := range map[corev1.ResourceName]bool{
		"nvidia.com/gpu": true, "example.com/fakecpu": true, "scheduling.k8s.io/foo": true, "notkubernetes.io/x": true,
		"cpu": false, "memory": false, "pods": false, "ephemeral-storage": false, "hugepages-2Mi": false, "attachable-volumes-aws-ebs": false,
		"kubernetes.io/batch-cpu": false, "attachable.kubernetes.io/x": false, "requests.nvidia.com/gpu": false,
	} {
		if got := IsExtendedResource(name); got != want {
			t.Errorf("%s: got %t, want %t", name, got, want)
		}
	}
}
