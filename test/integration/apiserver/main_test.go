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

	"k8s.io/apimachinery/pkg/types"

	"garret.dev/garret/test/integration/framework"
	"garret.dev/garret/test/integration/framework/aggregation"
	"garret.dev/garret/test/integration/framework/tenant"
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
	host    *framework.ControlPlane
	virtual *tenant.Tenant
	garret  *garret
}

var (
	shared    environment
	insideKey = types.NamespacedName{Namespace: insideNamespace, Name: insideName}
)

func TestMain(m *testing.M) { os.Exit(framework.Run(m, "api", setUp)) }

// setUp starts both control planes and garret-apiserver between them.
func setUp(stage *framework.Stage) error {
	var virtual *framework.ControlPlane
	err := framework.Together(
		func() (err error) {
			shared.host, err = stage.StartControlPlane("host", aggregation.HostFlag)
			return err
		},
		func() (err error) {
			virtual, err = stage.StartControlPlane("virtual", tenant.Flags(insideKey, exampleKey)...)
			return err
		})
	if err != nil {
		return err
	}
	if shared.virtual, err = tenant.Serve(stage, shared.host, virtual, insideKey, exampleKey); err != nil {
		return err
	}
	shared.garret, err = startGarret(stage)
	return err
}
