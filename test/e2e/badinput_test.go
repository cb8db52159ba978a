// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"garret.dev/garret/test/suite"
)

// TestBadInput sends what cannot be, and looks whether anything was made.
func TestBadInput(t *testing.T) {
	t.Parallel()
	admin := shared.Admin()
	ns := shared.Namespace(t, "e2e-badinput")
	tests := []struct {
		name, object, spec, want string
	}{
		{"unknown version", "x", "{kubernetes: {version: v9.9.9}}", "spec.kubernetes.version"},
		{"malformed version", "x", "{kubernetes: {version: latest}}", "spec.kubernetes.version"},
		{"unknown distro", "x", "{kubernetes: {distro: minikube}}", "spec.kubernetes.distro"},
		{"negative size", "x", "{controlPlane: {storage: {size: -1Gi}}}", "spec.controlPlane.storage.size"},
		{"size that is no quantity", "x", "{controlPlane: {storage: {size: much}}}", "quantit"},
		{"name too long", strings.Repeat("n", 60), "{}", "metadata.name"},
		{"flag that Garret owns", "x", `{kubernetes: {extraArgs: ["--data-dir=/elsewhere"]}}`, "spec.kubernetes.extraArgs[0]"},
		{"wrong type in the Helm values", "x", "{helm: {values: {nodeSelector: 7}}}", "spec.helm.values"},
		{"Helm value that widens rights", "x", "{helm: {values: {securityContext: {privileged: true}}}}", "spec.helm.values"},
		{"field that does not exist", "x", "{kubernets: {}}", "kubernets"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := admin.Input(suite.Object(ns, test.object, test.spec)).Try("create", "-f", "-")
			if err == nil {
				t.Fatalf("created, want it refused with %q", test.want)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q in it", err, test.want)
			}
		})
	}
	assertEmpty(t, ns)
}
