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
	Rule    KindRule
}

// BuiltIn are all kinds with a rule of Garret's own. Each rule lists the fields that travel: what a
// later version of the kind adds stays inside until somebody has looked at what it names.
func (s *SyncerSpec) BuiltIn() []BuiltInKind {
	return []BuiltInKind{
		{"toHost.gateways", s.ToHost.Gateways.Enabled, gatewayRule()},
		{"toHost.grpcRoutes", s.ToHost.GRPCRoutes.Enabled, routeRule(ResourceGRPCRoutes)},
		{"toHost.httpRoutes", s.ToHost.HTTPRoutes.Enabled, routeRule(ResourceHTTPRoutes,
			"spec.rules[].timeouts", "spec.rules[].retry", "spec.rules[].filters[].requestRedirect", "spec.rules[].filters[].urlRewrite", "spec.rules[].filters[].cors")},
		{"toHost.volumeSnapshots", s.ToHost.VolumeSnapshots.Enabled, SnapshotRule()},
	}
}
