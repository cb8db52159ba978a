// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

// Kinds of the Gateway API, as rules name them.
const (
	// GroupGatewayAPI is the group of the Gateway API.
	GroupGatewayAPI = "gateway.networking.k8s.io"

	ResourceBackendTLSPolicies = "backendtlspolicies"
	ResourceGateways           = "gateways"
	ResourceGRPCRoutes         = "grpcroutes"
	ResourceHTTPRoutes         = "httproutes"
	ResourceTCPRoutes          = "tcproutes"
	ResourceTLSRoutes          = "tlsroutes"
	ResourceUDPRoutes          = "udproutes"

	// ResourceReferenceGrants are read inside, and go nowhere.
	ResourceReferenceGrants = "referencegrants"
)

// ReferenceGrantVersions are those of ReferenceGrants that the syncer reads, the newest first.
func ReferenceGrantVersions() []string { return []string{"v1", "v1beta1"} }

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
	return KindRule{Resource: ResourceGateways, Fields: fields, Status: []string{"status.addresses", "status.conditions", "status.listeners"}}
}

// routeRule has routes go to the host, from their parents to the Services behind.
func routeRule(resource string, more ...string) KindRule {
	fields := append(copied("spec.rules[].name"), copied(more...)...)
	fields = append(fields,
		FieldRule{Path: "spec.parentRefs[]", As: FieldReference, Of: ResourceGateways + "." + GroupGatewayAPI},
		FieldRule{Path: "spec.rules[].backendRefs[]", As: FieldReference, Of: ResourceServices})
	return KindRule{Resource: resource, Fields: fields, Status: []string{"status.parents"}}
}

// requestRouteRule has routes go to the host that have the fields of HTTP and gRPC in common, and some besides.
func requestRouteRule(resource string, more ...string) KindRule {
	rule := routeRule(resource, "spec.hostnames", "spec.rules[].matches", "spec.rules[].sessionPersistence", "spec.rules[].filters[].type",
		"spec.rules[].filters[].requestHeaderModifier", "spec.rules[].filters[].responseHeaderModifier",
		"spec.rules[].filters[].requestMirror.percent", "spec.rules[].filters[].requestMirror.fraction")
	rule.Fields = append(rule.Fields, copied(more...)...)
	rule.Fields = append(rule.Fields, FieldRule{Path: "spec.rules[].filters[].requestMirror.backendRef", As: FieldReference, Of: ResourceServices})
	rule.Fields = append(rule.Fields, refused("spec.rules[].backendRefs[].filters", "spec.rules[].filters[].extensionRef")...)
	if resource == ResourceHTTPRoutes {
		rule.Fields = append(rule.Fields, refused("spec.rules[].filters[].externalAuth")...)
	}
	return rule
}

// backendPolicyRule has policies go to the host that say whom a Service is believed to be. The
// authorities are ConfigMaps, which the syncer copies, too; options are the controller's own.
func backendPolicyRule() KindRule {
	fields := copied("spec.validation.hostname", "spec.validation.wellKnownCACertificates", "spec.validation.subjectAltNames")
	fields = append(fields,
		FieldRule{Path: "spec.targetRefs[]", As: FieldReference, Of: ResourceServices},
		FieldRule{Path: "spec.validation.caCertificateRefs[]", As: FieldReference, Of: ResourceConfigMaps})
	fields = append(fields, refused("spec.options")...)
	return KindRule{Resource: ResourceBackendTLSPolicies, Fields: fields, Status: []string{"status.ancestors"}}
}
