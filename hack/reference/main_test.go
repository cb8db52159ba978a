// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"garret.dev/garret/pkg/cli"
)

func TestReferenceIsCurrent(t *testing.T) {
	t.Setenv("HOME", "/home/you")
	content, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	want, err := complete(string(content), cli.New("garret", genericiooptions.NewTestIOStreamsDiscard()))
	if err != nil {
		t.Fatal(err)
	}
	if string(content) != want {
		t.Error("docs/cli.md is not what the commands say about themselves: run make generate")
	}
}

func TestManualHasEveryCommand(t *testing.T) {
	folder := t.TempDir()
	if err := run([]string{"--man", folder}); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(folder, "garret-create.1"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "garret") || !strings.Contains(string(page), ".SH") {
		t.Errorf("got the page %q, want one about garret", page)
	}
}
