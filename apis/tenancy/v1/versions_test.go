// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// What is supported is what the control plane can be built for.
func TestSupportedVersionsAreBuilt(t *testing.T) {
	controlPlane := filepath.Join("..", "..", "..", "cmd", "controlplane")
	files, err := filepath.Glob(filepath.Join(controlPlane, "versions", "*.mod"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	slices.Reverse(files)
	var built []string
	for _, file := range append([]string{filepath.Join(controlPlane, "go.mod")}, files...) {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(`(?m)^\tk8s\.io/kubernetes (\S+)$`).FindSubmatch(content)
		if found == nil {
			t.Fatalf("%s does not require k8s.io/kubernetes", file)
		}
		built = append(built, string(found[1]))
	}
	if got := SupportedVersions(); !slices.Equal(got, built) {
		t.Errorf("got %q, want %q, for which there are go.mod files", got, built)
	}
}
