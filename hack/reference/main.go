// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Command reference generates documentation from the commands themselves: the second half of
// docs/cli.md, and manual pages.
//
//	go run ./hack/reference docs/cli.md
//	go run ./hack/reference --man FOLDER
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"garret.dev/garret/pkg/cli"
	"garret.dev/garret/pkg/cli/exit"
)

// begin divides what people write in the document from what this program writes.
const begin = "<!-- make generate writes everything below this line -->\n"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	// A default below the home directory would differ from machine to machine.
	os.Setenv("HOME", "/home/you")
	root := cli.New("garret", genericiooptions.NewTestIOStreamsDiscard())
	switch {
	case len(args) == 2 && args[0] == "--man":
		return manual(root, args[1])
	case len(args) == 1:
		content, err := os.ReadFile(args[0])
		if err != nil {
			return err
		}
		current, err := complete(string(content), root)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		return os.WriteFile(args[0], []byte(current), 0o644)
	}
	return errors.New("usage: reference FILE, or reference --man FOLDER")
}

// manual writes one manual page for each command.
func manual(root *cobra.Command, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	// A date in the pages would make each build another one.
	date := time.Unix(0, 0)
	return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "Garret", Manual: "Garret", Date: &date}, folder)
}

// complete replaces what follows the marker in a document.
func complete(document string, root *cobra.Command) (string, error) {
	head, _, ok := strings.Cut(document, begin)
	if !ok {
		return "", errors.New("the document has no line " + strings.TrimSpace(begin))
	}
	var out strings.Builder
	out.WriteString(head + begin)
	fmt.Fprintf(&out, "\n## Exit codes\n\n| code | meaning |\n| --- | --- |\n")
	for _, meaning := range exit.Meanings() {
		fmt.Fprintf(&out, "| %d | %s |\n", meaning.Code, meaning.Text)
	}
	fmt.Fprintf(&out, "\n## Flags of every command\n\n```\n%s```\n", root.PersistentFlags().FlagUsages())
	each(root, func(cmd *cobra.Command) { describe(&out, cmd) })
	return out.String(), nil
}

// each visits the commands that do something, in the order of the help.
func each(cmd *cobra.Command, visit func(*cobra.Command)) {
	for _, child := range cmd.Commands() {
		if child.Hidden || child.Name() == "help" {
			continue
		}
		visit(child)
		each(child, visit)
	}
}

func describe(out *strings.Builder, cmd *cobra.Command) {
	fmt.Fprintf(out, "\n## %s\n\n", cmd.CommandPath())
	long := cmd.Long
	if long == "" {
		long = cmd.Short + "."
	}
	fmt.Fprintf(out, "%s\n", strings.TrimSpace(long))
	cmd.InitDefaultHelpFlag()
	if cmd.Runnable() {
		fmt.Fprintf(out, "\n```\n%s\n```\n", cmd.UseLine())
	}
	if cmd.Example != "" {
		fmt.Fprintf(out, "\n```sh\n%s\n```\n", unindent(cmd.Example))
	}
	if flags := cmd.LocalNonPersistentFlags(); flags.HasAvailableFlags() {
		fmt.Fprintf(out, "\n```\n%s```\n", flags.FlagUsages())
	}
}

// unindent takes away the two spaces that an example has in the help.
func unindent(example string) string {
	lines := strings.Split(strings.Trim(example, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "  ")
	}
	return strings.Join(lines, "\n")
}
