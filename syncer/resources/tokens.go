// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"regexp"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"garret.dev/garret/syncer/engine"
	"garret.dev/garret/syncer/projected"
)

// Tokens keeps the Secrets on the host that hold what pods project: tokens of
// ServiceAccounts, trust bundles and certificates.
type Tokens interface {
	// Names returns the name of the host Secret that holds a token of the virtual
	// cluster for each of the pod's projections, and the key of each in their order.
	Names(pod *corev1.Pod, projections []corev1.ServiceAccountTokenProjection) (secret string, keys []string)
	// Missing tells whether the pod has a node, and no Secret on the host that was filled for it.
	Missing(pod *corev1.Pod) bool
	// Controller makes the Secret of a pod that is on the host, fills it when the pod
	// has a node, renews its tokens, and removes those of pods that are gone.
	Controller(metrics *engine.Metrics) (*engine.Controller, error)
}

// tokens adds their controller. The Secret comes before the pod begins, and the tokens
// when it has a node, which they name.
func (b *builder) tokens() {
	guard(b, b.Host.Secrets)
	controller, err := b.Tokens.Controller(b.Metrics)
	b.add(controller, err)
	b.beforePods = append(b.beforePods, need{controller: controller, must: true, keys: func(pod any) []types.NamespacedName {
		if !NeedsSecret(pod.(*corev1.Pod)) {
			return nil
		}
		return engine.SameKey(pod)
	}})
	b.onNodes = append(b.onNodes, need{controller: controller, must: true, keys: func(pod any) []types.NamespacedName {
		if !b.Tokens.Missing(pod.(*corev1.Pod)) {
			return nil
		}
		return engine.SameKey(pod)
	}})
}

// NeedsSecret tells whether the pod projects something that lies in a Secret on the host.
func NeedsSecret(pod *corev1.Pod) bool { return len(TokenProjections(pod)) > 0 || projected.Needs(pod) }

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

// missingToken is what a kubelet says of a Secret that has no token yet.
var missingToken = regexp.MustCompile(`references non-existent secret key: token-[0-9a-f]{12}$`)

// waitsForToken tells whether a kubelet says that it was faster than the syncer.
func waitsForToken(event *corev1.Event) bool {
	return event.Reason == ReasonFailedMount && missingToken.MatchString(event.Message)
}
