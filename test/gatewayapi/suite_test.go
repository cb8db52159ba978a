// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gatewayapi is the Gateway API's own conformance suite, as hack/gateway.sh runs it.
//
// It is a module of its own, because the suite asks for other versions of what the tests stand on. The
// versions of Kubernetes are those of everything else.
package gatewayapi

import (
	"testing"

	"sigs.k8s.io/gateway-api/conformance"
)

// TestConformance runs the suite as its flags say. Which features it tests is what the GatewayClass
// says in its status.
func TestConformance(t *testing.T) { conformance.RunConformance(t) }
