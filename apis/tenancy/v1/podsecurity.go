// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import "slices"

// LabelEnforce is the label of a namespace that names the level of the Pod Security
// Standards that its API server enforces on pods.
const LabelEnforce = "pod-security.kubernetes.io/enforce"

// podSecurityLevels are all there are, each stricter than the one before.
func podSecurityLevels() []PodSecurityLevel {
	return []PodSecurityLevel{PodSecurityPrivileged, PodSecurityBaseline, PodSecurityRestricted}
}

// EnforcedPodSecurity is the level that a namespace with these labels is held to.
// Privileged allows everything. As in the API server, an unknown name stands for restricted.
func EnforcedPodSecurity(labels map[string]string) PodSecurityLevel {
	level, set := labels[LabelEnforce]
	switch {
	case !set:
		return PodSecurityPrivileged
	case !slices.Contains(podSecurityLevels(), PodSecurityLevel(level)):
		return PodSecurityRestricted
	}
	return PodSecurityLevel(level)
}

// StricterThan says whether the level refuses more than the other. The level of
// what was stored before there were any is baseline.
func (l PodSecurityLevel) StricterThan(other PodSecurityLevel) bool {
	rank := func(level PodSecurityLevel) int {
		if level == "" {
			level = PodSecurityBaseline
		}
		return slices.Index(podSecurityLevels(), level)
	}
	return rank(l) > rank(other)
}
