// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"garret.dev/garret/syncer/engine"
)

// Tokens makes the ServiceAccount tokens of pods and keeps them fresh.
type Tokens interface {
	// Names returns the name of the host Secret that holds a token of the virtual
	// cluster for each of the pod's projections, and the key of each in their order.
	Names(pod *corev1.Pod, projections []corev1.ServiceAccountTokenProjection) (secret string, keys []string)
	// Ensure returns once that Secret is there.
	Ensure(ctx context.Context, pod *corev1.Pod, projections []corev1.ServiceAccountTokenProjection) error
	// Controller renews the tokens, and removes those of pods that are gone.
	Controller(metrics *engine.Metrics) (*engine.Controller, error)
}

// TokenProjections returns the ServiceAccount tokens that a pod mounts, in the
// order of its volumes and their sources.
func TokenProjections(pod *corev1.Pod) []corev1.ServiceAccountTokenProjection {
	var projections []corev1.ServiceAccountTokenProjection
	for _, volume := range pod.Spec.Volumes {
		if volume.Projected == nil {
			continue
		}
		for _, source := range volume.Projected.Sources {
			if source.ServiceAccountToken != nil {
				projections = append(projections, *source.ServiceAccountToken)
			}
		}
	}
	return projections
}
