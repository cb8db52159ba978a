// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// IngressSpec returns the part of an ingress's spec that the host gets, and what keeps the
// ingress from the host.
func IngressSpec(spec *networkingv1.IngressSpec) (*networkingv1.IngressSpec, Violations) {
	return carry(spec, field.NewPath("spec"), Exceptions{})
}

func ingressTable() []typeRules {
	return []typeRules{
		of[networkingv1.IngressSpec](
			passed("defaultBackend", "rules", "tls"),
			passed("ingressClassName").because("the host offers classes to everybody in the namespace"),
		),
		of[networkingv1.IngressBackend](
			passed("service"),
			refused("it can name an object of any kind on the host", "no setting lifts it; name a Service, which leads to the pods of this virtual cluster", "resource"),
		),
		of[networkingv1.IngressServiceBackend](passed("port"), translated("the Service on the host that stands for the one inside", "name")),
		of[networkingv1.ServiceBackendPort](passed("name", "number")),
		of[networkingv1.IngressRule](
			passed("host").because("when several ask for one name, the host's ingress controller decides"),
		),
		of[networkingv1.IngressRuleValue](passed("http")),
		of[networkingv1.HTTPIngressRuleValue](passed("paths")),
		of[networkingv1.HTTPIngressPath](passed("backend", "path", "pathType")),
		of[networkingv1.IngressTLS](passed("hosts"), translated("the Secret on the host that stands for the one inside", "secretName")),
	}
}
