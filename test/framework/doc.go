// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package framework is the base of all tests. It has kubectl and garret for several users, and
// functions that wait for conditions. For integration tests, it starts real API servers with
// real controllers from the build's output, each in its own process on a free loopback port.
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
