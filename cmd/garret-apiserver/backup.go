// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"garret.dev/garret/pkg/storage"
	"garret.dev/garret/pkg/storage/database"
)

// newBackup returns the command that copies the embedded database. It is what
// "garret backup" runs in the pod.
func newBackup() *cobra.Command {
	options := storage.NewOptions()
	command := plain(&cobra.Command{
		Use:   "backup",
		Short: "Write a consistent copy of the embedded database to standard output",
		Long: "Writes a consistent, checked copy of the embedded database to standard output, while garret-apiserver runs,\n" +
			"and what it holds as one line of JSON to standard error.",
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			summary, err := storage.Backup(command.Context(), options, command.OutOrStdout())
			return report(command.ErrOrStderr(), summary, err)
		},
	})
	command.Flags().StringVar(&options.DataDir, "data-dir", options.DataDir, "Directory of the embedded database.")
	return command
}

// newRestore returns the command that puts a copy back. It is what "garret
// restore" runs in a pod of its own while garret-apiserver is stopped.
func newRestore() *cobra.Command {
	options := storage.NewOptions()
	var sum string
	var force bool
	command := plain(&cobra.Command{
		Use:   "restore",
		Short: "Put a copy of the embedded database, from standard input, in its place",
		Long: "Reads a copy that \"backup\" made from standard input, checks it, and replaces the embedded database with it.\n" +
			"It refuses while garret-apiserver runs, and to replace a database unless forced. Objects keep their UIDs and\n" +
			"resourceVersions. New ones are higher than all earlier ones, so that watches list again.",
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			summary, err := storage.Restore(command.Context(), options, command.InOrStdin(), sum, force)
			return report(command.ErrOrStderr(), summary, err)
		},
	})
	command.Flags().StringVar(&options.DataDir, "data-dir", options.DataDir, "Directory of the embedded database.")
	command.Flags().StringVar(&sum, "sha256", sum, "SHA-256 of the copy, in hex: one that arrives otherwise is refused.")
	command.Flags().BoolVar(&force, "force", force, "Replace a database that is there. It is kept with the suffix "+database.ReplacedSuffix+".")
	return command
}

// report writes what a command did, for the program that ran it.
func report(out io.Writer, summary database.Summary, err error) error {
	if err != nil {
		return err
	}
	line, err := json.Marshal(summary)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", line)
	return err
}

// plain gives a command help of its own, instead of its parent's with all the server's flags.
func plain(command *cobra.Command) *cobra.Command {
	standard := &cobra.Command{}
	command.SetHelpFunc(standard.HelpFunc())
	command.SetUsageFunc(standard.UsageFunc())
	command.SetIn(os.Stdin)
	command.SilenceUsage = true
	return command
}
