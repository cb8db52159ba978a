// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestStumbling(t *testing.T) {
	for name, test := range map[string]struct {
		file, content string
		found         int
	}{
		"a document":            {"a.md", "The trace is gone on with.\n", 1},
		"two in a document":     {"a.md", "Both are set in so many words.\nThe flag is of no use.\n", 2},
		"without an actor":      {"a.md", "The caller is told so.\nIt is made anew.\n", 2},
		"who replaces what":     {"a.md", "The file comes in the place of another.\nIt is left out for want of a right.\n", 2},
		"an old-fashioned verb": {"a.go", "package a\n\n// The host allots it, and heeds the label.\n", 2},
		"an actor and a verb":   {"a.md", "The server reads the files again, and reports it.\n", 0},
		"a comment":             {"a.go", "package a\n\n// It brings objects about.\n", 1},
		"a string":              {"a.go", "package a\n\nvar a = \"garret create: what?\"\n", 1},
		"a name in the code":    {"a.go", "package a\n\nvar is = of /* of no use */\n", 0},
		"a test":                {"a_test.go", "package a\n\n// it is of no use\n", 0},
		"what programs write":   {"zz_generated.a.go", "package a\n\n// it is of no use\n", 0},
		"a long string's lines": {"a.go", "package a\n\nvar a = `one\nit is of no use\n`\n", 1},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			if err := os.WriteFile(filepath.Join(root, test.file), []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			found, err := stumbling(map[string]string{root: ""})
			if err != nil {
				t.Fatal(err)
			}
			if len(found) != test.found {
				t.Errorf("got %q, want %d", found, test.found)
			}
		})
	}
}
