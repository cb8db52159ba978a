// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"garret.dev/garret/apis/tenancy"
)

func TestWarnings(t *testing.T) {
	memory := func(amount string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(amount), corev1.ResourceCPU: resource.MustParse("250m")}
	}
	for name, test := range map[string]struct {
		spec tenancy.VirtualClusterSpec
		want []string
	}{
		"nothing": {tenancy.VirtualClusterSpec{}, nil},
		"persistent": {tenancy.VirtualClusterSpec{ControlPlane: tenancy.ControlPlaneSpec{Storage: tenancy.StorageSpec{
			Size: ptr.To(resource.MustParse("1Gi")), StorageClassName: ptr.To("fast"), WhenDeleted: tenancy.RetentionRetain}}}, nil},
		"a volume that there is not": {tenancy.VirtualClusterSpec{ControlPlane: tenancy.ControlPlaneSpec{Storage: tenancy.StorageSpec{
			Persistent: ptr.To(false), Size: ptr.To(resource.MustParse("1Gi")), StorageClassName: ptr.To("fast"), WhenDeleted: tenancy.RetentionRetain}}},
			[]string{
				"spec.controlPlane.storage.size: has no effect, since spec.controlPlane.storage.persistent is false",
				"spec.controlPlane.storage.storageClassName: has no effect, since spec.controlPlane.storage.persistent is false",
				"spec.controlPlane.storage.whenDeleted: has no effect, since spec.controlPlane.storage.persistent is false",
			}},
		"nothing said of it": {tenancy.VirtualClusterSpec{ControlPlane: tenancy.ControlPlaneSpec{Storage: tenancy.StorageSpec{
			Persistent: ptr.To(false), WhenDeleted: tenancy.RetentionDelete}}}, nil},
		"little memory": {tenancy.VirtualClusterSpec{ControlPlane: tenancy.ControlPlaneSpec{Resources: corev1.ResourceRequirements{
			Limits: memory("256Mi"), Requests: memory("100m")}}},
			[]string{
				"spec.controlPlane.resources.limits[memory]: a control plane is killed where it takes more than 256Mi: give it 384Mi or more",
				"spec.controlPlane.resources.requests[memory]: 100m is a fraction of a byte",
			}},
		"enough memory": {tenancy.VirtualClusterSpec{ControlPlane: tenancy.ControlPlaneSpec{Resources: corev1.ResourceRequirements{
			Limits: memory("384Mi"), Requests: memory("100Mi")}}}, nil},
		"everybody": {tenancy.VirtualClusterSpec{Access: []tenancy.AccessRule{{Groups: []string{"team", "system:authenticated"}, ClusterRole: "view"}}},
			[]string{"spec.access[0].groups[1]: all users of the host are in system:authenticated, and get the rights of view"}},
		"names inside": {tenancy.VirtualClusterSpec{Access: []tenancy.AccessRule{{Users: []string{"host:alice"}, Groups: []string{"team"}, ClusterRole: "view"}}},
			[]string{"spec.access[0].users[0]: is the name inside: the host's own is probably alice"}},
		"deleted with its data": {tenancy.VirtualClusterSpec{Sleep: tenancy.SleepSpec{DeleteAfterInactivity: hours(1), TimeZone: "UTC"}},
			[]string{"spec.sleep.deleteAfterInactivity: deletes the data, too: set spec.controlPlane.storage.whenDeleted to Retain to keep the volumes",
				"spec.sleep.timeZone: has no effect without a schedule"}},
		"deleted without its data": {tenancy.VirtualClusterSpec{Sleep: tenancy.SleepSpec{DeleteAfterInactivity: hours(1)},
			ControlPlane: tenancy.ControlPlaneSpec{Storage: tenancy.StorageSpec{WhenDeleted: tenancy.RetentionRetain}}}, nil},
		"deleted, and protected": {tenancy.VirtualClusterSpec{Sleep: tenancy.SleepSpec{DeleteAfterInactivity: hours(1)}, DeletionProtection: true},
			[]string{"spec.sleep.deleteAfterInactivity: has no effect while spec.deletionProtection is true"}},
	} {
		t.Run(name, func(t *testing.T) {
			vc := &tenancy.VirtualCluster{Spec: test.spec}
			if diff := cmp.Diff(test.want, Warnings(vc, nil)); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			// Who changes something else is not bothered with it.
			changed := vc.DeepCopy()
			changed.Spec.Syncer.ExtraArgs = []string{"--v=2"}
			if got := Warnings(changed, vc); got != nil {
				t.Errorf("a change of something else: got %q", got)
			}
		})
	}
}
