// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package storage tests garret-apiserver, the program, on every datastore that
// it can have: one suite for all of them, encryption of what they hold, backup
// and restore of the embedded one, and what happens when they fail.
package storage

import (
	"os"
	"testing"

	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/aggregation"
)

// shared is the host, and a garret-apiserver that stands behind it all the
// time: it publishes the authority that the replicas of the tests serve with.
var shared struct {
	host   *framework.ControlPlane
	garret *aggregation.Garret
}

func TestMain(m *testing.M) {
	framework.SideBySide(6)
	os.Exit(framework.Run(m, "store", func(stage *framework.Stage) (err error) {
		if shared.host, err = stage.StartControlPlane("host", aggregation.HostFlag, framework.WithoutNodes); err != nil {
			return err
		}
		shared.garret, err = aggregation.Serve(stage, shared.host, nil)
		return err
	}))
}
