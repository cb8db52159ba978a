// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Command garret-controller deploys virtual clusters and reports their state.
package main

import (
	"os"

	"github.com/spf13/cobra"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/cli"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	_ "k8s.io/component-base/logs/json/register"
	"k8s.io/component-base/metrics/legacyregistry"
	_ "k8s.io/component-base/metrics/prometheus/clientgo/leaderelection"
	_ "k8s.io/component-base/metrics/prometheus/restclient"
	_ "k8s.io/component-base/metrics/prometheus/version"
	_ "k8s.io/component-base/metrics/prometheus/workqueue"
	"k8s.io/component-base/version/verflag"
	"k8s.io/klog/v2"

	"garret.dev/garret/pkg/controller"
)

func main() {
	os.Exit(cli.Run(newCommand()))
}

func newCommand() *cobra.Command {
	options := controller.NewOptions()
	logging := logsapi.NewLoggingConfiguration()
	cmd := &cobra.Command{
		Use:          "garret-controller",
		Short:        "Deploys virtual clusters and says how they are",
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			verflag.PrintAndExitIfRequested()
			if err := logsapi.ValidateAndApply(logging, nil); err != nil {
				return err
			}
			cliflag.PrintFlags(cmd.Flags())
			if err := options.Complete(); err != nil {
				return err
			}
			if err := options.Validate(); err != nil {
				return err
			}
			ctx := klog.NewContext(genericapiserver.SetupSignalContext(), klog.Background())
			return controller.Run(ctx, options, legacyregistry.MustRegister, legacyregistry.DefaultGatherer)
		},
	}
	options.AddFlags(cmd.Flags())
	logsapi.AddFlags(logging, cmd.Flags())
	verflag.AddFlags(cmd.Flags())
	logs.AddFlags(cmd.Flags(), logs.SkipLoggingConfigurationFlags())
	return cmd
}
