// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package artifacts

import (
	"maps"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// kmsPlugin are values of apiserver.encryption for a plugin, with more of its own.
func kmsPlugin(more map[string]any) map[string]any {
	plugin := map[string]any{
		"image": "example.com/kms-plugin:v1", "args": []any{"--listen=/run/kms/kms.sock"}, "secretName": "kms-credentials",
		"env": []any{map[string]any{"name": "REGION", "value": "here"}},
	}
	maps.Copy(plugin, more)
	return map[string]any{"secretName": "store-keys", "kmsPlugin": plugin}
}

// TestKMSPlugin: it starts before garret-apiserver, both see its socket, and it
// gets nothing of garret-apiserver's.
func TestKMSPlugin(t *testing.T) {
	found := find[*appsv1.StatefulSet](t, objects(t, set("apiserver", set("encryption", kmsPlugin(nil)))), "garret-apiserver")
	spec := found.Spec.Template.Spec
	if len(spec.InitContainers) != 1 {
		t.Fatalf("got %d containers that start before, want the plugin", len(spec.InitContainers))
	}
	plugin, server := spec.InitContainers[0], spec.Containers[0]
	if plugin.RestartPolicy == nil || *plugin.RestartPolicy != corev1.ContainerRestartPolicyAlways {
		t.Error("garret-apiserver would wait for the plugin to end")
	}
	if plugin.Image != "example.com/kms-plugin:v1" || !slices.Equal(plugin.Args, []string{"--listen=/run/kms/kms.sock"}) ||
		len(plugin.Env) != 1 || plugin.Env[0].Value != "here" {
		t.Errorf("not all of it arrived: %+v", plugin)
	}
	shared := mountedAt(plugin, "/run/kms")
	if shared == "" || shared != mountedAt(server, "/run/kms") || volumeNamed(found, shared).EmptyDir == nil {
		t.Errorf("/run/kms is %q to the plugin and %q to garret-apiserver, want one emptyDir", shared, mountedAt(server, "/run/kms"))
	}
	if volume := volumeNamed(found, mountedAt(plugin, "/etc/kms")); volume == nil || volume.Secret == nil || volume.Secret.SecretName != "kms-credentials" {
		t.Errorf("/etc/kms is %+v, want the Secret", volume)
	}
	// A volume in the place of the token keeps the host from mounting it.
	const token = "/var/run/secrets/kubernetes.io/serviceaccount"
	if volume := volumeNamed(found, mountedAt(plugin, token)); volume == nil || volume.EmptyDir == nil {
		t.Errorf("the plugin has garret-apiserver's token: %+v", volume)
	}
	if mountedAt(server, token) != "" {
		t.Error("garret-apiserver has no token")
	}
	for _, mount := range plugin.VolumeMounts {
		if slices.ContainsFunc(server.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == mount.Name && m.Name != shared }) {
			t.Errorf("the plugin sees %s of garret-apiserver", mount.MountPath)
		}
	}
}

func mountedAt(container corev1.Container, path string) string {
	for _, mount := range container.VolumeMounts {
		if mount.MountPath == path {
			return mount.Name
		}
	}
	return ""
}
