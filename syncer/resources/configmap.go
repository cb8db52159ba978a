// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/engine"
)

// configMaps carries the configmaps that pods on the host refer to, or all but those that the host's
// own are shown as. The host's copy is never
// immutable, so that one made again inside can take its place.
func (b *builder) configMaps() {
	ofPod := referredBy(references.ofConfigMaps)
	controller := declare(b, b.Virtual.ConfigMaps, b.Host.ConfigMaps, declared[*corev1.ConfigMap]{
		wanted: func(virtual *corev1.ConfigMap) bool {
			key := engine.KeyOf(virtual).String()
			return b.All[tenancyv1.ResourceConfigMaps] && !isShown(virtual, tenancyv1.LabelMapped, b.Translator.Cluster().ID) ||
				slices.ContainsFunc(b.Virtual.Pods.ByIndex(indexConfigMap, key), b.hosted) || b.namedByRule(tenancyv1.ResourceConfigMaps, key)
		},
		unwanted: "no pod on the host uses it",
		apply: func(virtual, host *corev1.ConfigMap) error {
			host.Data, host.BinaryData = virtual.Data, virtual.BinaryData
			return nil
		},
		follows: append(b.followRules(tenancyv1.ResourceConfigMaps), follow{b.Virtual.Pods.Informer(), ofPod}),
	})
	b.watchPodsGo(controller, ofPod)
	b.beforePods = append(b.beforePods, need{controller: controller, keys: ofPod})
}
