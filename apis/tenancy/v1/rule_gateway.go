// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

// Kinds of the Gateway API, as rules name them.
const (
	gatewayAPI = "gateway.networking.k8s.io/v1"

	ResourceGateways   = "gateways"
	ResourceGRPCRoutes = "grpcroutes"
	ResourceHTTPRoutes = "httproutes"
)

func copied(paths ...string) []FieldRule {
	fields := make([]FieldRule, len(paths))
	for i, path := range paths {
		fields[i] = FieldRule{Path: path}
	}
	return fields
}

func refused(paths ...string) []FieldRule {
	fields := copied(paths...)
	for i := range fields {
		fields[i].As = FieldRefused
	}
	return fields
}

// gatewayRule has Gateways go to the host. Namespaces inside are one namespace there. So a listener
// admits routes of the Gateway's own namespace, which is what Gateways do by default; which of them
// name it is for the rules of routes. Addresses, infrastructure and certificates of clients are
// the host's to give.
func gatewayRule() KindRule {
	fields := copied("spec.gatewayClassName", "spec.listeners[].name", "spec.listeners[].hostname", "spec.listeners[].port", "spec.listeners[].protocol",
		"spec.listeners[].tls.mode", "spec.listeners[].allowedRoutes.kinds")
	fields = append(fields, FieldRule{Path: "spec.listeners[].tls.certificateRefs[]", As: FieldReference, Of: ResourceSecrets})
	fields = append(fields, refused("spec.addresses", "spec.allowedListeners", "spec.backendTLS", "spec.infrastructure", "spec.tls",
		"spec.listeners[].tls.frontendValidation", "spec.listeners[].tls.options")...)
	return KindRule{APIVersion: gatewayAPI, Resource: ResourceGateways, Fields: fields, Status: []string{"status.addresses", "status.conditions", "status.listeners"}}
}

// routeRule has routes go to the host that have the fields of HTTP and gRPC in common, and some besides.
func routeRule(resource string, more ...string) KindRule {
	fields := copied("spec.hostnames", "spec.rules[].name", "spec.rules[].matches", "spec.rules[].sessionPersistence", "spec.rules[].filters[].type",
		"spec.rules[].filters[].requestHeaderModifier", "spec.rules[].filters[].responseHeaderModifier",
		"spec.rules[].filters[].requestMirror.percent", "spec.rules[].filters[].requestMirror.fraction")
	fields = append(fields, copied(more...)...)
	fields = append(fields,
		FieldRule{Path: "spec.parentRefs[]", As: FieldReference, Of: ResourceGateways + ".gateway.networking.k8s.io"},
		FieldRule{Path: "spec.rules[].backendRefs[]", As: FieldReference, Of: ResourceServices},
		FieldRule{Path: "spec.rules[].filters[].requestMirror.backendRef", As: FieldReference, Of: ResourceServices})
	fields = append(fields, refused("spec.rules[].backendRefs[].filters", "spec.rules[].filters[].extensionRef")...)
	if resource == ResourceHTTPRoutes {
		fields = append(fields, refused("spec.rules[].filters[].externalAuth")...)
	}
	return KindRule{APIVersion: gatewayAPI, Resource: resource, Fields: fields, Status: []string{"status.parents"}}
}
