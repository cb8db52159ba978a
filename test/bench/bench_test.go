// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build bench

// Package bench measures the figures by which people choose virtual clusters, each beside a
// yardstick from the same run on the same machine.
package bench

import (
	"os"
	"testing"

	"garret.dev/garret/test/suite"
)

var shared = suite.Suite{Name: "bench"}

func TestMain(m *testing.M) {
	os.Exit(suite.Main(m, &shared))
}
