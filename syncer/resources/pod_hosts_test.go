// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// TestHostsFile gives a pod of a headless service its full name, by an init
// container that changes nothing else of it.
func TestHostsFile(t *testing.T) {
	small := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m")}
	_, host := translated(t, func(pod *corev1.Pod) {
		pod.Name, pod.Spec.Subdomain = "db-0", "db"
		pod.Spec.InitContainers = []corev1.Container{{Name: "garret-hosts"}}
		pod.Spec.Containers = []corev1.Container{
			{Name: "app", Resources: corev1.ResourceRequirements{Requests: small, Limits: small}},
			{Name: "own", VolumeMounts: []corev1.VolumeMount{{Name: "mine", MountPath: "/etc/hosts"}}},
		}
		pod.Spec.Volumes = []corev1.Volume{{Name: "mine"}}
	}, podInputs{})
	first := host.InitContainers[0]
	if first.Name != "garret-hosts-x" || first.Image != "syncer:1" {
		t.Fatalf("first init container: got %s of image %q, want one of the syncer's image under a name of its own", first.Name, first.Image)
	}
	if want := []string{"hosts", "--hostname=db-0", "--full-name=db-0.db.shop.svc.cluster.local"}; !slices.Equal(first.Args, want) {
		t.Errorf("arguments: got %q, want %q", first.Args, want)
	}
	if !first.Resources.Limits.Cpu().Equal(small[corev1.ResourceCPU]) {
		t.Errorf("resources: got %v, want those of the first container, so that the class of service stays", first.Resources)
	}
	mounts := map[string]string{}
	forEachLasting(host, func(container *corev1.Container) {
		for _, mount := range container.VolumeMounts {
			if mount.MountPath == "/etc/hosts" {
				mounts[container.Name] = mount.Name
			}
		}
	})
	if mounts["app"] != first.Name || mounts["garret-hosts"] != first.Name || mounts["own"] != "mine" || len(mounts) != 3 {
		t.Errorf("who mounts what at /etc/hosts: got %v", mounts)
	}

	for name, change := range map[string]func(*corev1.Pod){
		"without a subdomain":   nil,
		"on the node's network": func(pod *corev1.Pod) { pod.Spec.Subdomain, pod.Spec.HostNetwork = "db", true },
	} {
		if _, host := translated(t, change, podInputs{}); len(host.InitContainers) > 0 {
			t.Errorf("%s: got init containers %v, want none", name, host.InitContainers)
		}
	}
}
