// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
)

func TestDefaultSpec(t *testing.T) {
	off := false
	for name, test := range map[string]struct {
		given    VirtualClusterSpec
		size     string
		distro   Distro
		retained StorageRetention
	}{
		"nothing":        {VirtualClusterSpec{}, DefaultStorageSize, DistroK3s, RetentionDelete},
		"not persistent": {VirtualClusterSpec{ControlPlane: ControlPlaneSpec{Storage: StorageSpec{Persistent: &off}}}, "", DistroK3s, RetentionDelete},
		"all given": {VirtualClusterSpec{
			Kubernetes:   KubernetesSpec{Distro: DistroK8s},
			ControlPlane: ControlPlaneSpec{Storage: StorageSpec{Size: resource.NewQuantity(1<<30, resource.BinarySI), WhenDeleted: RetentionRetain}},
		}, "1Gi", DistroK8s, RetentionRetain},
	} {
		t.Run(name, func(t *testing.T) {
			got := test.given
			DefaultSpec(&got)
			size := ""
			if got.ControlPlane.Storage.Size != nil {
				size = got.ControlPlane.Storage.Size.String()
			}
			if size != test.size || got.Kubernetes.Distro != test.distro ||
				got.ControlPlane.Storage.WhenDeleted != test.retained || got.Kubernetes.Version != DefaultKubernetesVersion {
				t.Errorf("got %+v, want size %q, distro %s, %s on deletion", got, test.size, test.distro, test.retained)
			}
		})
	}
}
