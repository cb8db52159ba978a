// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"garret.dev/garret/pkg/cli/host"
)

// completionTimeout bounds the request behind a press of the tab key.
const completionTimeout = 3 * time.Second

// completeFlags offers values for the flags that every command has.
func completeFlags(root *cobra.Command, flags *host.Flags) {
	offers := map[string]func(context.Context, *host.Cluster) ([]string, error){"namespace": namespaces, "context": contexts}
	for flag, offer := range offers {
		err := root.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			cluster, err := flags.Cluster()
			if err != nil {
				return nil, cobra.ShellCompDirectiveError
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
			defer cancel()
			values, err := offer(ctx, cluster)
			if err != nil {
				return nil, cobra.ShellCompDirectiveError
			}
			slices.Sort(values)
			return values, cobra.ShellCompDirectiveNoFileComp
		})
		if err != nil {
			// The flags are those of this package: a missing one is a mistake in it.
			panic(err)
		}
	}
}

func namespaces(ctx context.Context, cluster *host.Cluster) ([]string, error) {
	client, err := cluster.Kubernetes()
	if err != nil {
		return nil, err
	}
	list, err := client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(list.Items))
	for _, item := range list.Items {
		names = append(names, item.Name)
	}
	return names, nil
}

func contexts(_ context.Context, cluster *host.Cluster) ([]string, error) {
	merged, err := cluster.Files.Load()
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(merged.Contexts))
	for name := range merged.Contexts {
		names = append(names, name)
	}
	return names, nil
}
