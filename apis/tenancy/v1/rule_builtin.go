// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

// BuiltInKind is a kind of a CustomResourceDefinition whose rule is Garret's own.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type BuiltInKind struct {
	// Field is where it is switched on, below spec.syncer.
	Field string
	// Enabled is nil where nothing says so; the kind is off then.
	Enabled *bool
	// Rule is in the first of the versions.
	Rule KindRule
	// Versions are those that the rule is right for, the newest first. Which of them a host serves
	// depends on what was installed there.
	Versions []string
}

// BuiltIn are all kinds with a rule of Garret's own. Each rule lists the fields that travel: what a
// later version of the kind adds stays inside until somebody has looked at what it names.
func (s *SyncerSpec) BuiltIn() []BuiltInKind {
	to := &s.ToHost
	kind := func(field string, chosen *KindSwitch, rule KindRule, versions ...string) BuiltInKind {
		rule.APIVersion = GroupGatewayAPI + "/" + versions[0]
		return BuiltInKind{"toHost." + field, chosen.Enabled, rule, versions}
	}
	return []BuiltInKind{
		kind("backendTLSPolicies", &to.BackendTLSPolicies, backendPolicyRule(), "v1", "v1alpha3"),
		kind("gateways", &to.Gateways, gatewayRule(), "v1"),
		kind("grpcRoutes", &to.GRPCRoutes, requestRouteRule(ResourceGRPCRoutes), "v1"),
		kind("httpRoutes", &to.HTTPRoutes, requestRouteRule(ResourceHTTPRoutes,
			"spec.rules[].timeouts", "spec.rules[].retry", "spec.rules[].filters[].requestRedirect", "spec.rules[].filters[].urlRewrite", "spec.rules[].filters[].cors"), "v1"),
		kind("tcpRoutes", &to.TCPRoutes, routeRule(ResourceTCPRoutes), "v1", "v1alpha2"),
		kind("tlsRoutes", &to.TLSRoutes, routeRule(ResourceTLSRoutes, "spec.hostnames"), "v1", "v1alpha3", "v1alpha2"),
		kind("udpRoutes", &to.UDPRoutes, routeRule(ResourceUDPRoutes), "v1", "v1alpha2"),
		{"toHost.volumeSnapshots", to.VolumeSnapshots.Enabled, SnapshotRule(), []string{"v1"}},
	}
}
