// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// NetworkPolicySpec returns the part of a policy's spec that the host gets, and what keeps the
// policy from the host. EgressBounds limit what it opens.
func NetworkPolicySpec(spec *networkingv1.NetworkPolicySpec) (*networkingv1.NetworkPolicySpec, Violations) {
	return carry(spec, field.NewPath("spec"), Exceptions{})
}

func networkPolicyTable() []typeRules {
	const pods = "the host's labels of pods of the same virtual cluster"
	const bounds = "the part of it that the release's own policy allows"
	return []typeRules{
		of[networkingv1.NetworkPolicySpec](
			passed("policyTypes"),
			passed("ingress").because("the release closes no traffic to workloads, so a policy can only narrow it"),
			translated("the host's labels of pods of the same namespace inside", "podSelector"),
			translated(bounds, "egress"),
		),
		of[networkingv1.NetworkPolicyIngressRule](passed("from", "ports")),
		of[networkingv1.NetworkPolicyEgressRule](translated(bounds, "ports", "to")),
		of[networkingv1.NetworkPolicyPort](passed("endPort", "port", "protocol")),
		of[networkingv1.NetworkPolicyPeer](
			translated(pods, "namespaceSelector", "podSelector"),
			passed("ipBlock").because("in egress, the part of it that the release's own policy allows"),
		),
		of[networkingv1.IPBlock](passed("cidr", "except")),
	}
}
