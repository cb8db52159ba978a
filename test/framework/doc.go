// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package framework is what tests stand on: kubectl and garret in the hands of users,
// conditions that are waited for, and for integration tests real API servers with
// real controllers, started from what the build has made, each a process of its
// own on a free port of loopback.
//
// A package of tests describes what it needs in one function, which Run calls
// once before all of its tests:
//
//	func TestMain(m *testing.M) { os.Exit(framework.Run(m, "entrance", setUp)) }
//
//	func setUp(stage *framework.Stage) (err error) {
//		shared.host, err = stage.StartControlPlane("host")
//		return err
//	}
//
// What a stage started ends with it, in reverse order and by process id, and
// dies with the tests where they are killed. When tests fail, the ends of the
// logs follow their output. Package aggregation puts garret-apiserver behind a
// control plane.
package framework
