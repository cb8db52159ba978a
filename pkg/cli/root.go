// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cli is Garret's command line. The same program is a plugin of kubectl
// when it is found as kubectl-garret; its help then says so.
package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"garret.dev/garret/pkg/cli/backup"
	"garret.dev/garret/pkg/cli/exit"
	"garret.dev/garret/pkg/cli/host"
	"garret.dev/garret/pkg/cli/inspect"
	"garret.dev/garret/pkg/cli/install"
	"garret.dev/garret/pkg/cli/vcluster"
)

// New returns the root command, for a program that was started under this name.
func New(executable string, streams genericiooptions.IOStreams) *cobra.Command {
	program := programName(executable)
	flags := host.NewFlags()
	clusters := &vcluster.Commands{Program: program, Flags: flags, Streams: streams, Terminal: vcluster.HasTerminal(streams)}
	inspection := &inspect.Commands{Program: program, Flags: flags, Streams: streams}
	installation := &install.Commands{Program: program, Flags: flags, Streams: streams}
	backups := &backup.Commands{Program: program, Flags: flags, Streams: streams}

	root := &cobra.Command{
		Use:   "garret",
		Short: "Virtual Kubernetes clusters inside a shared one",
		Long: `Garret gives a team its own Kubernetes cluster inside one namespace of a shared one.

The commands work on the host cluster of your kubeconfig's current context, also while
that context leads into a virtual cluster.`,
		Annotations:       map[string]string{cobra.CommandDisplayNameAnnotation: program},
		SilenceUsage:      true,
		SilenceErrors:     true,
		DisableAutoGenTag: true,
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.SetGlobalNormalizationFunc(host.Normalize)
	flags.AddTo(root.PersistentFlags())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return host.Misuse(err, "%s --help shows the flags", cmd.CommandPath())
	})

	root.AddGroup(
		&cobra.Group{ID: "clusters", Title: "Virtual clusters:"},
		&cobra.Group{ID: "admin", Title: "For administrators of the host cluster:"},
	)
	group("clusters", root,
		clusters.Create(), clusters.List(), inspection.Describe(), clusters.Use(),
		clusters.Disconnect(),
		inspection.Logs(),
		clusters.Kubeconfig(), clusters.Recover(), clusters.Delete(),
	)
	group("admin", root, installation.Install(), backups.Backup(), backups.Restore(), installation.Uninstall())
	completeFlags(root, flags)
	root.AddCommand(newVersion(flags, streams))
	root.Long += "\n\nExit codes:\n"
	for _, meaning := range exit.Meanings() {
		root.Long += fmt.Sprintf("  %3d  %s\n", meaning.Code, meaning.Text)
	}
	root.Args, root.RunE = cobra.ArbitraryArgs, needsVerb
	checkArguments(root)
	return root
}

// needsVerb shows the help where nothing was typed, and refuses a verb that does not exist.
func needsVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	remedy := cmd.CommandPath() + " --help shows the commands"
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		remedy = "did you mean: " + strings.Join(near, ", ")
	}
	return host.Misuse(fmt.Errorf("%s has no command %q", cmd.CommandPath(), args[0]), "%s", remedy)
}

// checkArguments gives what a command says about its arguments the code of a wrong command line.
func checkArguments(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			var advice *host.Advice
			if err == nil || errors.As(err, &advice) {
				return exit.With(exit.Usage, err)
			}
			return host.Misuse(err, "usage: %s", cmd.UseLine())
		}
	}
	for _, child := range cmd.Commands() {
		checkArguments(child)
	}
}

func group(id string, parent *cobra.Command, commands ...*cobra.Command) {
	for _, cmd := range commands {
		cmd.GroupID = id
	}
	parent.AddCommand(commands...)
}

// programName is what the user typed: kubectl calls a plugin by its file's name.
func programName(executable string) string {
	name := strings.TrimSuffix(filepath.Base(executable), ".exe")
	if plugin, ok := strings.CutPrefix(name, "kubectl-"); ok {
		return "kubectl " + plugin
	}
	return "garret"
}
