// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// phrase is one that readers stop at, and what to write instead.
type phrase struct {
	pattern *regexp.Regexp
	instead string
}

// phrases are kept out of everything that a user reads.
func phrases() []phrase {
	return []phrase{
		{regexp.MustCompile(`(?i)\bin so many words\b`), "explicitly"},
		{regexp.MustCompile(`(?i)\bgone on with\b`), "continued"},
		{regexp.MustCompile(`(?i)\bpassed over by\b`), "processed by"},
		{regexp.MustCompile(`(?i)\bbr(ings|ing|ought) [^.]* about\b`), "create, or reconcile"},
		{regexp.MustCompile(`(?i)\bcan(not)? be had by\b`), "the verb of what is done"},
		{regexp.MustCompile(`(?i)\bof no use\b`), "useless, or what is missing"},
		{regexp.MustCompile(`(?i)\banew\b`), "again, or who does it"},
		{regexp.MustCompile(`(?i)\b(is|are|was|were|be) told\b`), "who tells, reports or answers whom"},
		{regexp.MustCompile(`: what\?`), "what is missing"},
		{regexp.MustCompile(`(?i)\bgo(es)? along\b`), "is copied, or is passed on"},
		{regexp.MustCompile(`(?i)\bin the place of\b`), "instead of, or who replaces what"},
		{regexp.MustCompile(`(?i)\bfor want of\b`), "because it is missing"},
		{regexp.MustCompile(`(?i)\bstarting over\b`), "restarting"},
		{regexp.MustCompile(`(?i)\ballot(s|ted)?\b`), "allocate"},
		{regexp.MustCompile(`(?i)\bheeds?\b`), "respect, or follow"},
		{regexp.MustCompile(`(?i)\blies? on the host\b`), "is on the host"},
		{regexp.MustCompile(`(?i)\bof before\b`), "earlier, or previous"},
		{regexp.MustCompile(`(?i)\bwhosever\b`), "whoever owns it"},
		{regexp.MustCompile(`(?i)\b(is|are) taken for\b`), "counts as, or who mistakes it"},
		{regexp.MustCompile(`(?i)\bgiven out\b`), "issued"},
		{regexp.MustCompile(`(?i)\bholds? pods to\b`), "enforces on pods"},
		{regexp.MustCompile(`(?i)\bputs? back\b`), "restores, or reverts"},
	}
}

// read are the files that users read, by folder and how their names end.
func read() map[string]string {
	return map[string]string{
		"docs": ".md", "artifacts/chart": "", "apis": ".go", "pkg": ".go", "syncer": ".go", "cmd": ".go", "README.md": "", "CONTRIBUTING.md": "",
	}
}

// stumbling names the lines that hold such a phrase. Code around the words is left
// out: a name in it is nothing that a user reads.
func stumbling(roots map[string]string) ([]string, error) {
	var found []string
	for root, suffix := range roots {
		err := eachFile(root, suffix, func(path string, content []byte) {
			if strings.HasSuffix(path, "_test.go") || strings.Contains(path, "zz_generated") {
				return
			}
			for number, line := range strings.Split(string(content), "\n") {
				text := line
				if strings.HasSuffix(path, ".go") {
					text = words(line)
				}
				for _, phrase := range phrases() {
					if said := phrase.pattern.FindString(text); said != "" {
						found = append(found, fmt.Sprintf("%s:%d: readers stop at %q: write %s", path, number+1, said, phrase.instead))
					}
				}
			}
		})
		if err != nil && !os.IsNotExist(err) {
			return nil, err
		}
	}
	return found, nil
}

// quoted finds the strings of a line of Go.
var quoted = regexp.MustCompile("\"(?:[^\"\\\\]|\\\\.)*\"|`[^`]*`")

// words are what a person reads in a line of Go: its comment, or its strings.
func words(line string) string {
	if comment := strings.TrimSpace(line); strings.HasPrefix(comment, "//") {
		return comment
	}
	if !strings.ContainsAny(line, "\"`") {
		// It may lie within a string of several lines, which holds no code.
		if strings.ContainsAny(line, "{}=()") {
			return ""
		}
		return line
	}
	return strings.Join(quoted.FindAllString(line, -1), " ")
}
