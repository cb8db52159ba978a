// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package documents

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestBlocks(t *testing.T) {
	got := Blocks(`# Title

Words:

    garret list -A      # all

    kubectl get vc <<EOF
      indented
    EOF

<!-- run inside -->

    export A=b
    kubectl get pods

<!-- not run: it needs a cat -->

    kubectl delete cat

More words:

    go build ./...

` + "```yaml\n    kubectl: no\n```\n" + `    kubectl top
`)
	want := []Block{
		{Line: 5, Script: "garret list -A      # all\n\nkubectl get vc <<EOF\n  indented\nEOF\n"},
		{Line: 13, Script: "export A=b\nkubectl get pods\n", Inside: true},
		{Line: 18, Script: "kubectl delete cat\n", NotRun: "it needs a cat"},
		{Line: 27, Script: "kubectl top\n"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

// TestFewBlocksAreNotRun is the list of those, with the reason of each. Commands that nobody
// runs go stale: a block comes here only when no cluster of a test can run it.
func TestFewBlocksAreNotRun(t *testing.T) {
	reviewed := []string{
		"CONTRIBUTING.md: it is about the host of make up",
		"README.md: it needs the image of another minor",
		"gateway-api.md: the host has no Gateway API",
		"gateway.md: it changes the installation",
		"gateway.md: it needs a gateway that is published",
		"ingress.md: it continues with the ingress above",
		"ingress.md: it needs cert-manager",
		"rbac.md: it is refused to a user with few rights",
		"recover.md: it needs data that were lost",
		"recover.md: it needs data that were lost",
		"storage.md: it changes the installation",
		"storage.md: it changes the installation",
		"storage.md: it changes the installation",
		"storage.md: it changes the installation",
		"storage.md: it rewrites every object",
		"templates.md: it bounds everybody on the host",
		"templates.md: it bounds everybody on the host",
		"versions.md: it needs the image of another minor",
	}
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	run := 0
	for _, file := range append(files, "../../README.md", "../../CONTRIBUTING.md") {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		marked := strings.Count(string(content), "\n<!-- not run:") + strings.Count(string(content), "\n<!-- run inside")
		for _, block := range Blocks(string(content)) {
			switch {
			case block.NotRun != "":
				got = append(got, filepath.Base(file)+": "+block.NotRun)
				marked--
			case block.Inside:
				marked--
				fallthrough
			default:
				run++
			}
		}
		if marked != 0 {
			t.Errorf("%s: %d comments stand before no block of commands", file, marked)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, reviewed) {
		t.Errorf("not run:\n%s\nreviewed:\n%s", strings.Join(got, "\n"), strings.Join(reviewed, "\n"))
	}
	if run < 15 {
		t.Errorf("found only %d blocks that are run: the documents are read in a wrong way", run)
	}
}
