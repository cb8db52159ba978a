// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/translate"
)

// Annotations of a host pod that hold what the downward API is to show of the virtual one.
const (
	annotationLabels         = "garret.dev/labels"
	annotationAnnotations    = "garret.dev/annotations"
	annotationServiceAccount = "garret.dev/service-account"
)

// hostFieldPath is where the host pod holds the field of the virtual pod. What
// the kubelet knows by itself (addresses, the node) stays as it is.
func hostFieldPath(path string) string {
	annotation := func(key string) string { return "metadata.annotations['" + key + "']" }
	switch path {
	case "metadata.name":
		return annotation(tenancyv1.AnnotationVirtualName)
	case "metadata.namespace":
		return annotation(tenancyv1.AnnotationVirtualNamespace)
	case "metadata.uid":
		return annotation(tenancyv1.AnnotationVirtualUID)
	case "metadata.labels":
		return annotation(annotationLabels)
	case "metadata.annotations":
		return annotation(annotationAnnotations)
	case "spec.serviceAccountName":
		return annotation(annotationServiceAccount)
	}
	if field, key, ok := subscript(path); ok {
		return field + "['" + translate.Key(key) + "']"
	}
	return path
}

// subscript splits a path such as metadata.labels['app'].
func subscript(path string) (field, key string, ok bool) {
	field, key, ok = strings.Cut(path, "['")
	if !ok || !strings.HasSuffix(key, "']") {
		return "", "", false
	}
	return field, strings.TrimSuffix(key, "']"), true
}

// downwardAnnotations are the annotations that the host pod needs for what the
// virtual pod reads through the downward API. The kubelet follows their changes,
// so a change inside shows in the mounted files.
func downwardAnnotations(pod *corev1.Pod) map[string]string {
	annotations := map[string]string{}
	visitFields(&pod.Spec, func(path *string) {
		switch *path {
		case "metadata.labels":
			annotations[annotationLabels] = formatMap(pod.Labels)
		case "metadata.annotations":
			annotations[annotationAnnotations] = formatMap(pod.Annotations)
		case "spec.serviceAccountName":
			annotations[annotationServiceAccount] = pod.Spec.ServiceAccountName
		}
		if field, key, ok := subscript(*path); ok && field == "metadata.annotations" {
			if value, found := pod.Annotations[key]; found {
				annotations[translate.Key(key)] = value
			}
		}
	})
	return annotations
}

// visitFields calls do with the place of every field that the pod reads of itself.
func visitFields(spec *corev1.PodSpec, do func(path *string)) {
	forEachContainer(spec, func(container *corev1.Container) {
		for i := range container.Env {
			if from := container.Env[i].ValueFrom; from != nil && from.FieldRef != nil {
				do(&from.FieldRef.FieldPath)
			}
		}
	})
	items := func(files []corev1.DownwardAPIVolumeFile) {
		for i := range files {
			if files[i].FieldRef != nil {
				do(&files[i].FieldRef.FieldPath)
			}
		}
	}
	for i := range spec.Volumes {
		if volume := spec.Volumes[i].DownwardAPI; volume != nil {
			items(volume.Items)
		}
		if volume := spec.Volumes[i].Projected; volume != nil {
			for j := range volume.Sources {
				if source := volume.Sources[j].DownwardAPI; source != nil {
					items(source.Items)
				}
			}
		}
	}
}

// formatMap writes labels or annotations as the downward API shows them whole:
// sorted lines of key="value".
func formatMap(values map[string]string) string {
	lines := make([]string, 0, len(values))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		lines = append(lines, key+"="+strconv.Quote(values[key]))
	}
	return strings.Join(lines, "\n")
}
