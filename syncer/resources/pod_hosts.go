// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"garret.dev/garret/syncer/hosts"
)

const (
	// hostsName is the name of the init container and of its volume.
	hostsName = "garret-hosts"
	// hostsPath is the file that a container looks names up in.
	hostsPath = "/etc/hosts"
	// hostsUser runs the init container; it is the one of Garret's images.
	hostsUser = 65532
)

// HostsFile says how pods get the file /etc/hosts that they would have inside.
type HostsFile struct {
	// Image is that of the syncer. Empty leaves pods with the host kubelet's file,
	// which lacks their full name.
	Image      string
	PullPolicy corev1.PullPolicy
}

// apply adds an init container to a pod with a full name, and has the others mount
// the file that it writes. It comes after the pod got its hostname.
func (h HostsFile) apply(host *corev1.PodSpec, virtual *corev1.Pod, domain string) {
	spec := &virtual.Spec
	if windows := spec.OS != nil && spec.OS.Name == corev1.Windows; windows || h.Image == "" || spec.Subdomain == "" || spec.HostNetwork || spec.HostnameOverride != nil || len(host.Containers) == 0 {
		return
	}
	hostname := ptr.Deref(host.HostnameOverride, host.Hostname)
	short, _, _ := strings.Cut(hostname, ".")
	full := strings.Join([]string{short, spec.Subdomain, virtual.Namespace, "svc", domain}, ".")
	name := freeName(host)
	forEachLasting(host, func(container *corev1.Container) {
		if !slices.ContainsFunc(container.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == hostsPath }) {
			container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: name, MountPath: hostsPath, SubPath: hosts.File})
		}
	})
	host.Volumes = append(host.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	// With the resources of another container it changes neither what the pod asks
	// for nor its class of service, and passes the host's quota as that one does.
	resources := *host.Containers[0].Resources.DeepCopy()
	resources.Claims = nil
	host.InitContainers = slices.Insert(host.InitContainers, 0, corev1.Container{
		Name: name, Image: h.Image, ImagePullPolicy: h.PullPolicy, Args: hosts.Args(hostname, full), Resources: resources,
		VolumeMounts: []corev1.VolumeMount{{Name: name, MountPath: hosts.Directory}},
		SecurityContext: &corev1.SecurityContext{
			RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To[int64](hostsUser), RunAsGroup: ptr.To[int64](hostsUser),
			AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true),
			Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
	})
}

// freeName is one that no container and no volume of the pod has.
func freeName(spec *corev1.PodSpec) string {
	taken := map[string]bool{}
	forEachContainer(spec, func(container *corev1.Container) { taken[container.Name] = true })
	for i := range spec.Volumes {
		taken[spec.Volumes[i].Name] = true
	}
	name := hostsName
	for taken[name] {
		name += "-x"
	}
	return name
}
