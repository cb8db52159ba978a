// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/containers"
	"garret.dev/garret/syncer/isolation"
)

func (p *pods) mark(virtual, host *corev1.Pod) {
	annotations := downwardAnnotations(virtual)
	annotations[annotationResources] = resourcesAsked(&virtual.Spec).annotation()
	annotations[annotationImages] = imagesAsked(&virtual.Spec).annotation()
	annotations[containers.Annotation] = p.asked(virtual, host).String()
	if avoids := p.avoids(virtual, host); avoids != "" {
		annotations[annotationAvoids] = avoids
	}
	if host.UID == "" {
		if inside := p.places.inside.of(virtual); len(inside) > 0 {
			annotations[annotationInside] = joined(resourceNamesOf(inside))
		}
		if node, _ := p.places.of(virtual); node != "" {
			annotations[annotationPlace] = node
		}
	} else {
		// What was settled when the pod was made.
		for _, key := range []string{annotationInside, annotationPlace} {
			if value, settled := host.Annotations[key]; settled {
				annotations[key] = value
			}
		}
	}
	p.marker.mark(tenancyv1.ResourcePods, virtual, host, annotations)
	if p.policies != nil && egressPoliced(p.policies, virtual) {
		host.Labels[tenancyv1.LabelEgress] = tenancyv1.EgressOfTenant
	}
	if metav1.GetControllerOf(virtual) != nil {
		p.translator.Control(host)
	}
}

// refresh brings the fields of the host pod that Kubernetes allows to change up to date.
func (p *pods) refresh(virtual, host *corev1.Pod) {
	// What keeps a pod from the host was refused when it was made.
	allowed, _ := isolation.PodSpec(&virtual.Spec, p.spec.exceptions)
	p.spec.rules.images(allowed)
	stripInside(allowed, insideOf(host))
	images := map[string]string{}
	resources := map[string]corev1.ResourceRequirements{}
	forEachLasting(allowed, func(container *corev1.Container) {
		images[container.Name] = container.Image
		resources[container.Name] = container.Resources
	})
	askedImages, imagesBefore := imagesAsked(&virtual.Spec), askedBefore(host.Annotations[annotationImages])
	askedResources, resourcesBefore := resourcesAsked(&virtual.Spec), askedBefore(host.Annotations[annotationResources])
	own := p.asked(virtual, host).Own(virtual, host)
	forEachLasting(&host.Spec, func(container *corev1.Container) {
		if _, is := own.Find(container.Name); !is {
			return
		}
		if askedImages.changed(imagesBefore, container.Name) {
			container.Image = images[container.Name]
		}
		if askedResources.changed(resourcesBefore, container.Name) {
			wanted := resources[container.Name]
			container.Resources = *wanted.DeepCopy()
		}
	})
	if askedResources.changed(resourcesBefore, wholePod) {
		host.Spec.Resources = allowed.Resources.DeepCopy()
	}
	if virtual.Spec.ActiveDeadlineSeconds != nil {
		host.Spec.ActiveDeadlineSeconds = ptr.To(*virtual.Spec.ActiveDeadlineSeconds)
	}
	for _, toleration := range allowed.Tolerations {
		if !tolerates(host.Spec.Tolerations, toleration) {
			host.Spec.Tolerations = append(host.Spec.Tolerations, toleration)
		}
	}
	p.wantEphemeral(virtual, host)
	p.mark(virtual, host)
}

func tolerates(tolerations []corev1.Toleration, wanted corev1.Toleration) bool {
	for i := range tolerations {
		if tolerations[i].MatchToleration(&wanted) &&
			ptr.Equal(tolerations[i].TolerationSeconds, wanted.TolerationSeconds) {
			return true
		}
	}
	return false
}
