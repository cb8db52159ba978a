// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

// Package e2e tests Garret as its users meet it: on a real host cluster with
// real containers, mostly through kubectl.
package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"garret.dev/garret/test/suite"
)

var shared = suite.Suite{Name: "e2e", Reserved: 1}

func TestMain(m *testing.M) {
	os.Exit(suite.Main(m, &shared))
}

// manifest reads a file of testdata.
func manifest(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
