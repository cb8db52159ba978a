// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

// references are the objects in its own namespace that a pod needs.
type references struct{ configMaps, secrets, claims, devices []string }

func (r references) ofConfigMaps() []string { return r.configMaps }

func (r references) ofSecrets() []string { return r.secrets }

func (r references) ofDevices() []string { return r.devices }

func (r references) all() []string {
	return slices.Concat(r.configMaps, r.secrets, r.claims, r.devices)
}

// visitor is called with the place of each reference of a pod, and may change it.
type visitor struct{ configMap, secret, claim func(name *string) }

// referencesOf lists what the pod refers to.
func referencesOf(pod *corev1.Pod) references {
	var found references
	visitReferences(&pod.Spec, visitor{
		configMap: func(name *string) { found.configMaps = append(found.configMaps, *name) },
		secret:    func(name *string) { found.secrets = append(found.secrets, *name) },
		claim:     func(name *string) { found.claims = append(found.claims, *name) },
	})
	for _, volume := range pod.Spec.Volumes {
		if volume.Ephemeral != nil {
			found.claims = append(found.claims, ephemeralClaim(pod, volume.Name))
		}
	}
	found.devices = devicesOf(pod)
	return found
}

// ephemeralClaim is the name that Kubernetes gives to the claim of a generic ephemeral volume.
func ephemeralClaim(pod *corev1.Pod, volume string) string { return pod.Name + "-" + volume }

// isEphemeralClaim tells whether the claim is that of a generic ephemeral volume of the pod.
func isEphemeralClaim(pod *corev1.Pod, claim string) bool {
	return slices.ContainsFunc(pod.Spec.Volumes, func(volume corev1.Volume) bool {
		return volume.Ephemeral != nil && ephemeralClaim(pod, volume.Name) == claim
	})
}

// podsByReference indexes pods by namespace/name of what they refer to.
func podsByReference(of func(references) []string) cache.IndexFunc {
	return func(object any) ([]string, error) {
		pod, ok := object.(*corev1.Pod)
		if !ok {
			return nil, nil
		}
		names := of(referencesOf(pod))
		for i, name := range names {
			names[i] = pod.Namespace + "/" + name
		}
		return names, nil
	}
}

// referredBy names the objects that a pod refers to, for who follows pods.
func referredBy(of func(references) []string) func(object any) []types.NamespacedName {
	return func(object any) []types.NamespacedName {
		pod := object.(*corev1.Pod)
		var keys []types.NamespacedName
		for _, name := range of(referencesOf(pod)) {
			// An image pull secret without a name is allowed, and means none.
			if name != "" {
				keys = append(keys, types.NamespacedName{Namespace: pod.Namespace, Name: name})
			}
		}
		return keys
	}
}

// hosted tells whether the virtual pod is on the host. What only others refer to is not
// brought there.
func (b *builder) hosted(virtual *corev1.Pod) bool {
	if !b.Selection[tenancyv1.ResourcePods] {
		return false
	}
	host, found := b.Host.Pods.Get(b.Host.Pods.Namespace(), b.Translator.HostName(virtual.Namespace, virtual.Name))
	if !found {
		return false
	}
	identity, ours := b.Translator.IdentityOf(host)
	return ours && identity.UID == virtual.UID
}

// watchPodsGo has the controller follow what pods refer to that are gone from the host.
// For one that comes, what it needs is brought before it begins.
func (b *builder) watchPodsGo(controller *engine.Controller, ofPod func(pod any) []types.NamespacedName) {
	if !b.Selection[tenancyv1.ResourcePods] || b.err != nil {
		return
	}
	b.fail(controller.WatchGone(b.Host.Pods.Informer(), func(host any) []types.NamespacedName {
		identity, ours := b.Translator.IdentityOf(host.(*corev1.Pod))
		if !ours {
			return nil
		}
		virtual, found := b.Virtual.Pods.Get(identity.Namespace, identity.Name)
		if !found {
			return nil // its own end was seen
		}
		return ofPod(virtual)
	}))
}

// visitReferences calls the visitor for every configmap, secret and volume
// claim that the pod names. It is the one place that knows where they can be.
func visitReferences(spec *corev1.PodSpec, visit visitor) {
	for i := range spec.ImagePullSecrets {
		visit.secret(&spec.ImagePullSecrets[i].Name)
	}
	forEachContainer(spec, func(container *corev1.Container) { visitContainer(container, visit) })
	for i := range spec.Volumes {
		visitVolume(&spec.Volumes[i].VolumeSource, visit)
	}
}

// forEachLasting calls do for the containers that the pod was made with.
func forEachLasting(spec *corev1.PodSpec, do func(*corev1.Container)) {
	for i := range spec.InitContainers {
		do(&spec.InitContainers[i])
	}
	for i := range spec.Containers {
		do(&spec.Containers[i])
	}
}

// forEachContainer calls do for the pod's containers of all sorts.
func forEachContainer(spec *corev1.PodSpec, do func(*corev1.Container)) {
	forEachLasting(spec, do)
	for i := range spec.EphemeralContainers {
		do((*corev1.Container)(&spec.EphemeralContainers[i].EphemeralContainerCommon))
	}
}

func visitContainer(container *corev1.Container, visit visitor) {
	for i := range container.EnvFrom {
		from := &container.EnvFrom[i]
		if from.ConfigMapRef != nil {
			visit.configMap(&from.ConfigMapRef.Name)
		}
		if from.SecretRef != nil {
			visit.secret(&from.SecretRef.Name)
		}
	}
	for i := range container.Env {
		from := container.Env[i].ValueFrom
		if from == nil {
			continue
		}
		if from.ConfigMapKeyRef != nil {
			visit.configMap(&from.ConfigMapKeyRef.Name)
		}
		if from.SecretKeyRef != nil {
			visit.secret(&from.SecretKeyRef.Name)
		}
	}
}

func visitVolume(volume *corev1.VolumeSource, visit visitor) {
	switch {
	case volume.ConfigMap != nil:
		visit.configMap(&volume.ConfigMap.Name)
	case volume.Secret != nil:
		visit.secret(&volume.Secret.SecretName)
	case volume.PersistentVolumeClaim != nil:
		visit.claim(&volume.PersistentVolumeClaim.ClaimName)
	case volume.Projected != nil:
		for i := range volume.Projected.Sources {
			source := &volume.Projected.Sources[i]
			if source.ConfigMap != nil {
				visit.configMap(&source.ConfigMap.Name)
			}
			if source.Secret != nil {
				visit.secret(&source.Secret.Name)
			}
		}
	case volume.CSI != nil && volume.CSI.NodePublishSecretRef != nil:
		visit.secret(&volume.CSI.NodePublishSecretRef.Name)
	}
}
