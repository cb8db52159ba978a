// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

func TestHostPodSecurity(t *testing.T) {
	for name, test := range map[string]struct {
		label  string
		asked  tenancyv1.PodSecurityLevel
		status metav1.ConditionStatus
		reason string
		words  string
	}{
		"no label":                {"", "baseline", "False", "NotEnforced", "Set the label pod-security.kubernetes.io/enforce=baseline on the namespace team."},
		"no label, stored before": {"", "", "False", "NotEnforced", "the level baseline"},
		"a label that opens":      {"privileged", "restricted", "False", "NotEnforced", "enforce=restricted on"},
		"nobody at all":           {"", "privileged", "False", "NotEnforced", "controls the host's nodes"},
		"the same":                {"baseline", "baseline", "True", "Enforced", "The host enforces the level baseline on pods in the namespace team."},
		"less than the syncer":    {"baseline", "restricted", "True", "Enforced", "the level baseline on pods"},
		"stricter":                {"restricted", "baseline", "True", "HostStricter", "refuses those that only baseline allows"},
		"stricter, stored before": {"restricted", "", "True", "HostStricter", "only baseline"},
		"privileged in vain":      {"baseline", "privileged", "True", "HostStricter", "only privileged"},
	} {
		t.Run(name, func(t *testing.T) {
			labels := map[string]string{}
			if test.label != "" {
				labels[tenancyv1.LabelEnforce] = test.label
			}
			vc := object(3)
			vc.Spec.Isolation.PodSecurity = test.asked
			got := hostPodSecurity(vc, labels)
			if got.Type != tenancyv1.ConditionHostPodSecurity || got.Status != test.status || got.Reason != test.reason ||
				!strings.Contains(got.Message, test.words) || got.ObservedGeneration != 3 {
				t.Errorf("got %s %s: %s", got.Status, got.Reason, got.Message)
			}
		})
	}
}
