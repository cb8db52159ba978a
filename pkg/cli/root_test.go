// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"garret.dev/garret/pkg/cli/exit"
)

func each(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, child := range cmd.Commands() {
		each(child, visit)
	}
}

func TestHelp(t *testing.T) {
	for executable, program := range map[string]string{
		"/usr/bin/garret": "garret", "kubectl-garret": "kubectl garret", `kubectl-garret.exe`: "kubectl garret", "/tmp/go-build/cli.test": "garret",
	} {
		each(New(executable, genericiooptions.NewTestIOStreamsDiscard()), func(cmd *cobra.Command) {
			if cmd.Short == "" {
				t.Errorf("%s says nothing about itself", cmd.CommandPath())
			}
			if !strings.HasPrefix(cmd.CommandPath(), program) {
				t.Errorf("%s: usage shows %q, want %q", executable, cmd.CommandPath(), program)
			}
			for line := range strings.Lines(cmd.Example) {
				if !strings.HasPrefix(strings.TrimSpace(line), program+" ") {
					t.Errorf("%s: example %q does not begin with %q", executable, strings.TrimSpace(line), program)
				}
			}
		})
	}
}

func TestCommandLines(t *testing.T) {
	tests := map[string]struct {
		args []string
		want string
	}{
		"verb alone":   {[]string{"use"}, "use [NAME]"},
		"unknown noun": {[]string{"create", "pod", "web"}, "create NAME"},
		"unknown verb": {[]string{"enter"}, "enter"},
		"unknown flag": {[]string{"list", "--foo"}, "--foo"},
		"too many":     {[]string{"restore", "a", "b"}, "restore FILE"},
		"no file":      {[]string{"backup"}, "--output"},
		"no name":      {[]string{"use", "vcluster"}, "use [NAME]"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			root := New("garret", genericiooptions.NewTestIOStreamsDiscard())
			root.SetArgs(test.args)
			if err := root.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) || exit.Of(t.Context(), err) != exit.Usage || !strings.Contains(err.Error(), "→") {
				t.Errorf("got %v, want an error with %q, a remedy, and exit code %d", err, test.want, exit.Usage)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	streams, _, out, _ := genericiooptions.NewTestIOStreams()
	root := New("garret", streams)
	root.SetArgs([]string{"version", "--client"})
	if err := root.ExecuteContext(t.Context()); err != nil || !strings.HasPrefix(out.String(), "garret: v") {
		t.Errorf("printed %q (%v)", out.String(), err)
	}
}
