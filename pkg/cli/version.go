// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/discovery"
	"k8s.io/component-base/version"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/host"
)

func newVersion(flags *host.Flags, streams genericiooptions.IOStreams) *cobra.Command {
	var clientOnly bool
	cmd := &cobra.Command{
		Use:               "version",
		Short:             "Print the versions of this program and of the host cluster",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprintf(streams.Out, "garret: %s\n", version.Get().GitVersion)
			if clientOnly {
				return nil
			}
			return printHost(flags, streams)
		},
	}
	cmd.Flags().BoolVar(&clientOnly, "client", false, "print the version of this program only")
	return cmd
}

func printHost(flags *host.Flags, streams genericiooptions.IOStreams) error {
	cluster, err := flags.Cluster()
	if err != nil {
		return err
	}
	client, err := discovery.NewDiscoveryClientForConfig(cluster.Config)
	if err != nil {
		return err
	}
	server, err := client.ServerVersion()
	if err != nil {
		return cluster.Explain(err)
	}
	fmt.Fprintf(streams.Out, "host: Kubernetes %s at %s\n", server.GitVersion, cluster.Config.Host)
	if _, err := client.ServerResourcesForGroupVersion(tenancyv1.SchemeGroupVersion.String()); err != nil {
		return cluster.Explain(fmt.Errorf("%s: %w", tenancyv1.SchemeGroupVersion, err))
	}
	fmt.Fprintf(streams.Out, "api: %s\n", tenancyv1.SchemeGroupVersion)
	return nil
}
