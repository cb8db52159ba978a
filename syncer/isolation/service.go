// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ServiceSpec returns what of a Service's spec may travel, and what keeps the
// Service from the host.
func ServiceSpec(spec *corev1.ServiceSpec) (*corev1.ServiceSpec, Violations) {
	return carry(spec, field.NewPath("spec"), Exceptions{})
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
			refused("the nodes would send it the traffic of whoever has the address", "no setting lifts it, the types NodePort and LoadBalancer open a Service", "externalIPs"),
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
