// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// ServiceSpec returns the part of a Service's spec that the host gets, and what keeps the
// Service from the host.
func ServiceSpec(spec *corev1.ServiceSpec, exceptions Exceptions) (*corev1.ServiceSpec, Violations) {
	return carry(spec, field.NewPath("spec"), exceptions)
}

// opened says whether the host's administrator opens all of the addresses to Services.
func opened(addresses any, exceptions Exceptions) bool {
	return !slices.ContainsFunc(addresses.([]string), func(text string) bool {
		address, ok := tenancyv1.ParseEndpointAddress(text)
		return !ok || !exceptions.ExternalIPs.Contain(address)
	})
}

func serviceTable() []typeRules {
	return []typeRules{
		of[corev1.ServiceSpec](
			passed("allocateLoadBalancerNodePorts", "externalTrafficPolicy", "healthCheckNodePort", "internalTrafficPolicy", "ipFamilies", "ipFamilyPolicy",
				"loadBalancerSourceRanges", "ports", "publishNotReadyAddresses", "sessionAffinity", "sessionAffinityConfig", "trafficDistribution"),
			passed("type").because("a Service of type ExternalName is not synced"),
			passed("loadBalancerClass").because("the host offers classes to everybody in the namespace"),
			translated("the address that the host allocates", "clusterIP", "clusterIPs"),
			translated("the host's labels of pods of the same namespace inside", "selector"),
			leftOut("only the DNS inside uses this alias", "externalName"),
			refused("the nodes would send it the traffic of the address, whoever owns that", "the host's administrator can add a range to spec.isolation.externalIPRanges of HostCluster local", "externalIPs").unless(opened),
			refused("somebody on the host's network may own the address", "no setting lifts it; the host's load balancer allocates an address", "loadBalancerIP"),
		),
		of[corev1.ServicePort](
			passed("appProtocol", "name", "port", "protocol", "targetPort"),
			translated("the one inside where the host has it free, otherwise one that the host allocates", "nodePort"),
		),
		of[corev1.SessionAffinityConfig](passed("clientIP")),
		of[corev1.ClientIPConfig](passed("timeoutSeconds")),
	}
}
