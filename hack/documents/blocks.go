// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package documents finds the commands in documents for users, for tests that run them.
//
// A block is a run of indented lines, one of which begins with garret or kubectl. An HTML
// comment before it says what a test does with it: with "run inside", the test runs it in the
// virtual cluster blue, and with "not run: REASON", the test skips it.
package documents

import (
	"regexp"
	"strings"
)

// Block is one that holds commands.
type Block struct {
	// Line is the number of its first line.
	Line int
	// Script is its text without the indentation.
	Script string
	// Inside says that it is run in a virtual cluster.
	Inside bool
	// NotRun is why it is not run; empty where it is.
	NotRun string
}

const indentation = "    "

var (
	command = regexp.MustCompile(`^(kubectl|garret) `)
	marker  = regexp.MustCompile(`^<!-- (run inside|not run: (.+)) -->$`)
)

// Blocks are those of a document in Markdown.
func Blocks(text string) []Block {
	var found []Block
	var current []string
	begun, inside, reason := 0, false, ""
	end := func() {
		block := Block{Line: begun, Script: strings.TrimRight(strings.Join(current, "\n"), "\n") + "\n", Inside: inside, NotRun: reason}
		for _, line := range current {
			if command.MatchString(line) {
				found = append(found, block)
				break
			}
		}
		current, inside, reason = nil, false, ""
	}
	fenced := false
	for number, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			if len(current) > 0 {
				end()
			}
			fenced = !fenced
		case fenced:
		case strings.HasPrefix(line, indentation) && strings.TrimSpace(line) != "":
			if len(current) == 0 {
				begun = number + 1
			}
			current = append(current, strings.TrimPrefix(line, indentation))
		case strings.TrimSpace(line) == "":
			if len(current) > 0 {
				current = append(current, "")
			}
		default:
			if len(current) > 0 {
				end()
			}
			if said := marker.FindStringSubmatch(line); said != nil {
				inside, reason = said[2] == "", said[2]
			} else {
				inside, reason = false, ""
			}
		}
	}
	if len(current) > 0 {
		end()
	}
	return found
}
