// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import "testing"

func TestEnforcedPodSecurity(t *testing.T) {
	for name, test := range map[string]struct {
		labels map[string]string
		want   PodSecurityLevel
	}{
		"no label":   {nil, PodSecurityPrivileged},
		"another":    {map[string]string{"pod-security.kubernetes.io/warn": "restricted"}, PodSecurityPrivileged},
		"baseline":   {map[string]string{LabelEnforce: "baseline"}, PodSecurityBaseline},
		"privileged": {map[string]string{LabelEnforce: "privileged"}, PodSecurityPrivileged},
		"misspelt":   {map[string]string{LabelEnforce: "Baseline"}, PodSecurityRestricted},
		"empty":      {map[string]string{LabelEnforce: ""}, PodSecurityRestricted},
	} {
		if got := EnforcedPodSecurity(test.labels); got != test.want {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
}

func TestStricterThan(t *testing.T) {
	order := []PodSecurityLevel{PodSecurityPrivileged, PodSecurityBaseline, PodSecurityRestricted}
	for i, a := range order {
		for j, b := range order {
			if got := a.StricterThan(b); got != (i > j) {
				t.Errorf("%s stricter than %s: got %t", a, b, got)
			}
		}
	}
	if PodSecurityBaseline.StricterThan("") || !PodSecurityRestricted.StricterThan("") || PodSecurityLevel("").StricterThan(PodSecurityBaseline) {
		t.Error("no level is not taken for baseline")
	}
}
