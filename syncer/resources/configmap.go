// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/translate"
)

// configMaps carries the configmaps that pods refer to.
type configMaps struct {
	translator *translate.Translator
	virtual    *Virtual
}

var _ engine.Kind[*corev1.ConfigMap] = &configMaps{}

// Wanted is true while a pod refers to the configmap.
func (c *configMaps) Wanted(_ context.Context, virtual *corev1.ConfigMap) (bool, error) {
	return len(c.virtual.Pods.ByIndex(indexConfigMap, virtual.Namespace+"/"+virtual.Name)) > 0, nil
}

// ToHost copies the data. The host's copy is never immutable, so that a
// configmap made anew inside can take its place.
func (c *configMaps) ToHost(_ context.Context, virtual, host *corev1.ConfigMap) error {
	c.translator.Mark(host, translate.IdentityFor(virtual), virtual.Labels, nil)
	host.Data, host.BinaryData = virtual.Data, virtual.BinaryData
	return nil
}

// ofPod names the configmaps that a pod refers to.
func (c *configMaps) ofPod(object any) []types.NamespacedName {
	pod := object.(*corev1.Pod)
	return inNamespace(pod.Namespace, referencesOf(pod).configMaps)
}

func inNamespace(namespace string, names []string) []types.NamespacedName {
	keys := make([]types.NamespacedName, 0, len(names))
	for _, name := range names {
		if name != "" {
			keys = append(keys, types.NamespacedName{Namespace: namespace, Name: name})
		}
	}
	return keys
}
