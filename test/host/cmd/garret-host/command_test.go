// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.tar", "b.tar", "notes.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, b := filepath.Join(dir, "a.tar"), filepath.Join(dir, "b.tar")
	for name, tt := range map[string]struct {
		given, want []string
		failed      bool
	}{
		"nothing":           {},
		"a file":            {given: []string{a}, want: []string{a}},
		"a folder":          {given: []string{dir}, want: []string{a, b}},
		"a pattern":         {given: []string{filepath.Join(dir, "[b-z]*.tar")}, want: []string{b}},
		"what is not there": {given: []string{filepath.Join(dir, "c.tar")}, failed: true},
		"a bad pattern":     {given: []string{"[" + dir}, failed: true},
	} {
		got, err := expand(tt.given)
		if (err != nil) != tt.failed || !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, %v; want %q, failed: %t", name, got, err, tt.want, tt.failed)
		}
	}
}

func TestCopyPrivately(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "new", "to")
	for _, content := range []string{"first", "second"} {
		if err := os.WriteFile(from, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := copyPrivately(from, to); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(to)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("got %v, %v; want mode 600", info, err)
		}
		if got, err := os.ReadFile(to); err != nil || string(got) != content {
			t.Errorf("got %q, %v; want %q", got, err, content)
		}
	}
}

func TestDownWithoutACluster(t *testing.T) {
	var out bytes.Buffer
	cmd := newCommand()
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"down", "--dir", t.TempDir()})
	if err := cmd.Execute(); err != nil || !strings.Contains(out.String(), "There is no host cluster") {
		t.Errorf("got %q, %v", out.String(), err)
	}
}
