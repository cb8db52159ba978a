// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package subject reads which virtual cluster a command line names. The word vcluster, or one
// of its aliases, may come before the name.
package subject

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"garret.dev/garret/pkg/cli/host"
)

// CompletionTimeout bounds the request behind a press of the tab key.
const CompletionTimeout = 3 * time.Second

// Strip takes the noun away that may stand before the names.
func Strip(args []string) []string {
	nouns := []string{"vcluster", "vclusters", "vc", "virtualcluster", "virtualclusters"}
	if len(args) > 0 && slices.Contains(nouns, args[0]) {
		return args[1:]
	}
	return args
}

// Optional lets the noun stand before the names of a command. It returns the command.
func Optional(cmd *cobra.Command) *cobra.Command {
	check, do, complete := cmd.Args, cmd.RunE, cmd.ValidArgsFunction
	cmd.Args = func(cmd *cobra.Command, args []string) error { return check(cmd, Strip(args)) }
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return do(cmd, Strip(args)) }
	if complete != nil {
		cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
			return complete(cmd, Strip(args), begun)
		}
	}
	return cmd
}

// One asks for exactly one name, in words that contain the remedy.
func One(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return host.Misuse(fmt.Errorf("%s takes exactly one name, got %d", cmd.CommandPath(), len(args)), "usage: %s", cmd.UseLine())
	}
	return nil
}

// Completion offers the names of the virtual clusters in the namespace. A command
// that takes several names is offered those that are not there yet.
func Completion(flags *host.Flags, several bool) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 && !several {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		cluster, err := flags.Cluster()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		client, err := cluster.Tenancy()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), CompletionTimeout)
		defer cancel()
		list, err := client.TenancyV1().VirtualClusters(cluster.Namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		names := make([]string, 0, len(list.Items))
		for _, item := range list.Items {
			if !slices.Contains(args, item.Name) {
				names = append(names, item.Name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
