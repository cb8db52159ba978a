// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// ServiceSpec returns what of a Service's spec may travel, and what keeps the
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
			passed("type").because("a Service of type ExternalName stays inside"),
			passed("loadBalancerClass").because("the host offers classes to everybody in the namespace"),
			translated("the address that the host allots", "clusterIP", "clusterIPs"),
			translated("the host's labels of pods of the same namespace inside", "selector"),
			leftOut("it is an alias in the DNS inside", "externalName"),
			refused("the nodes would send it the traffic of whoever has the address", "the host's administrator can add a range to spec.isolation.externalIPRanges of HostCluster local", "externalIPs").unless(opened),
			refused("the address may be somebody's on the host's network", "no setting lifts it, the host's balancer allots an address", "loadBalancerIP"),
		),
		of[corev1.ServicePort](
			passed("appProtocol", "name", "port", "protocol", "targetPort"),
			translated("the one inside where it is free on the host, or the one that the host allots", "nodePort"),
		),
		of[corev1.SessionAffinityConfig](passed("clientIP")),
		of[corev1.ClientIPConfig](passed("timeoutSeconds")),
	}
}
