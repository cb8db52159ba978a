// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"

	"garret.dev/garret/syncer/engine"
)

const (
	// annotationResources and annotationImages on a host pod tell which resources and
	// images were asked for last, by container. What the host's admission made of
	// them stays until something else is asked for.
	annotationResources = "garret.dev/resources"
	annotationImages    = "garret.dev/images"

	// wholePod stands among the containers for what is asked for the pod as such.
	wholePod = ""
)

// asked holds a short hash of what was asked for each container.
type asked map[string]string

// imagesAsked are those of the containers that the pod was made with. Debug
// containers come with the image that they keep.
func imagesAsked(spec *corev1.PodSpec) asked {
	images := asked{}
	forEachLasting(spec, func(container *corev1.Container) { images[container.Name] = engine.Hash(container.Image) })
	return images
}

func resourcesAsked(spec *corev1.PodSpec) asked {
	resources := asked{wholePod: engine.Hash(spec.Resources)}
	forEachLasting(spec, func(container *corev1.Container) { resources[container.Name] = engine.Hash(container.Resources) })
	return resources
}

// askedBefore reads an annotation. Where it says nothing of a container, what the
// host has stays.
func askedBefore(annotation string) asked {
	var before asked
	_ = json.Unmarshal([]byte(annotation), &before)
	return before
}

// changed tells whether something else is asked for the container than before.
func (a asked) changed(before asked, container string) bool {
	was, known := before[container]
	is, asks := a[container]
	return known && asks && was != is
}

// annotation writes names and hashes, which can always be written.
func (a asked) annotation() string {
	text, _ := json.Marshal(a)
	return string(text)
}
