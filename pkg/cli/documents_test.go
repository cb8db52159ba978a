// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// documents are what users read, from this folder.
func documents(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	return append(files, "../../README.md", "../../CONTRIBUTING.md", "../../artifacts/chart/garret/templates/NOTES.txt")
}

// commandLine is a line of a block that starts Garret; the rest of the shell's line is cut off.
var commandLine = regexp.MustCompile(`^(?:bin/|kubectl )?garret ([^#|>;\\]+)`)

// inline is a command within a sentence.
var inline = regexp.MustCompile("`(?:kubectl )?garret ([a-z][^`]*)`")

// TestCommandsInDocuments has the program parse each of its command lines that a document
// shows in a block, and look up each verb that a sentence names.
func TestCommandsInDocuments(t *testing.T) {
	var lines int
	for _, file := range documents(t) {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(strings.ReplaceAll(string(content), "{{ . }}", "https://garret.example.com")) {
			if found := commandLine.FindStringSubmatch(strings.TrimSpace(line)); found != nil && !strings.Contains(line, "[flags]") {
				lines++
				if err := parses(strings.Fields(found[1])); err != nil {
					t.Errorf("%s: %s: %v", file, strings.TrimSpace(line), err)
				}
			}
			for _, found := range inline.FindAllStringSubmatch(line, -1) {
				verb := strings.Fields(found[1])[0]
				if cmd, _, err := New("garret", genericiooptions.NewTestIOStreamsDiscard()).Find([]string{verb}); err != nil || !cmd.HasParent() {
					t.Errorf("%s: `garret %s`: there is no command %s (%v)", file, found[1], verb, err)
				}
			}
		}
	}
	if lines < 20 {
		t.Errorf("found only %d command lines: the documents are read in a wrong way", lines)
	}
	for _, wrong := range []string{"create", "use demo --nonsense", "delete", "top --orphans", "version now", "nonsense"} {
		if parses(strings.Fields(wrong)) == nil {
			t.Errorf("garret %s passes: this test could not fail", wrong)
		}
	}
}

// parses says whether the program takes a command line.
func parses(args []string) error {
	root := New("garret", genericiooptions.NewTestIOStreamsDiscard())
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if !cmd.HasParent() {
		return fmt.Errorf("there is no command %s", args[0])
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		return err
	}
	return cmd.ValidateRequiredFlags()
}
