// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apiserver tests garret-apiserver behind a real kube-apiserver: with
// real aggregation, the rights that the install chart grants and no others,
// the controllers that collect garbage and count quotas, kubectl, and a real
// control plane with the syncer's issuer as the virtual cluster.
package apiserver

import (
	"os"
	"testing"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/integration/framework"
	"garret.dev/garret/test/integration/framework/aggregation"
)

const (
	timeout  = framework.Timeout
	interval = framework.Interval

	// insideNamespace and insideName are those of the one VirtualCluster that
	// has a control plane behind it.
	insideNamespace, insideName = "inside", "demo"
)

// environment is what all tests share.
type environment struct {
	host, virtual *framework.ControlPlane
	garret        *garret
}

var shared environment

func TestMain(m *testing.M) { os.Exit(framework.Run(m, "api", setUp)) }

// setUp starts both control planes and garret-apiserver between them.
func setUp(stage *framework.Stage) error {
	err := framework.Together(
		func() (err error) {
			shared.host, err = stage.StartControlPlane("host", aggregation.HostFlag)
			return err
		},
		func() (err error) {
			shared.virtual, err = stage.StartControlPlane("virtual", "--tls-san="+v1.ServerName(insideName, insideNamespace))
			return err
		})
	if err != nil {
		return err
	}
	shared.garret, err = startGarret(stage)
	return err
}
