// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package relay tests the way into a virtual cluster with the real thing on
// every side: a control plane, the syncer's issuer, an API server's handler
// chain in front of the relay, a kubelet's streams, and kubectl.
package relay

import (
	"os"
	"testing"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/integration/framework"
)

const (
	namespace, name = "team", "demo"
	timeout         = framework.Timeout
	interval        = framework.Interval
)

// shared is the virtual cluster's control plane, as its own administrator sees it.
var shared *framework.ControlPlane

func TestMain(m *testing.M) { os.Exit(framework.Run(m, "relay", setUp)) }

func setUp(stage *framework.Stage) (err error) {
	shared, err = stage.StartControlPlane("inside", "--tls-san="+v1.ServerName(name, namespace), framework.WithoutNodes)
	return err
}
