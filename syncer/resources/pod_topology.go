// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/syncer/engine"
)

// topologies refuses to keep pods apart or together by a label of the host's nodes that nodes
// inside do not have. A mere wish for that is left out.
func (r nodeRules) topologies(host *corev1.PodSpec) error {
	if r.hidden == nil {
		return nil
	}
	refuse := func(path *field.Path, key string) error {
		return engine.Refuse(reasonForbidden, fmt.Sprintf(
			"%s %q is refused: nodes inside do not show this label of the host's nodes; add it to spec.syncer.fromHost.nodes.labels of the VirtualCluster", path, key))
	}
	spread := field.NewPath("spec", "topologySpreadConstraints")
	for i, constraint := range host.TopologySpreadConstraints {
		if constraint.WhenUnsatisfiable != corev1.ScheduleAnyway && r.hides(constraint.TopologyKey) {
			return refuse(spread.Index(i).Child("topologyKey"), constraint.TopologyKey)
		}
	}
	host.TopologySpreadConstraints = slices.DeleteFunc(host.TopologySpreadConstraints, func(c corev1.TopologySpreadConstraint) bool { return r.hides(c.TopologyKey) })
	wished := func(terms []corev1.WeightedPodAffinityTerm) []corev1.WeightedPodAffinityTerm {
		return slices.DeleteFunc(terms, func(term corev1.WeightedPodAffinityTerm) bool { return r.hides(term.PodAffinityTerm.TopologyKey) })
	}
	required := map[string][]corev1.PodAffinityTerm{}
	if affinity := host.Affinity; affinity != nil && affinity.PodAffinity != nil {
		required["podAffinity"] = affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		affinity.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution = wished(affinity.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution)
	}
	if affinity := host.Affinity; affinity != nil && affinity.PodAntiAffinity != nil {
		required["podAntiAffinity"] = affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution = wished(affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution)
	}
	for _, name := range []string{"podAffinity", "podAntiAffinity"} {
		for i, term := range required[name] {
			if r.hides(term.TopologyKey) {
				return refuse(field.NewPath("spec", "affinity", name, "requiredDuringSchedulingIgnoredDuringExecution").Index(i).Child("topologyKey"), term.TopologyKey)
			}
		}
	}
	return nil
}
