// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Command garret-apiserver serves the API group tenancy.garret.dev behind the
// aggregation layer of a host cluster.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	genericapiserver "k8s.io/apiserver/pkg/server"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/cli"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/cli/globalflag"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/component-base/term"
	"k8s.io/component-base/version/verflag"

	"garret.dev/garret/pkg/apiserver"
	"garret.dev/garret/pkg/chart"
)

func main() {
	utilruntime.Must(logsapi.AddFeatureGates(utilfeature.DefaultMutableFeatureGate))
	options := apiserver.NewOptions()
	options.ValidateValues = chart.TenantErrors
	os.Exit(cli.Run(newCommand(options)))
}

func newCommand(options *apiserver.Options) *cobra.Command {
	logging := logsapi.NewLoggingConfiguration()
	command := &cobra.Command{
		Use:   "garret-apiserver",
		Short: "Serve virtual clusters as a resource of a Kubernetes host",
		Long: "garret-apiserver serves the API group tenancy.garret.dev behind the aggregation layer of a host cluster.\n" +
			"It keeps its objects in SQLite below --data-dir unless a database or etcd is given, asks the host who a\n" +
			"caller is and what they may do, and makes its own certificates.",
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(command *cobra.Command, _ []string) error {
			verflag.PrintAndExitIfRequested()
			if err := options.Complete(); err != nil {
				return err
			}
			if err := logsapi.ValidateAndApply(logging, utilfeature.DefaultFeatureGate); err != nil {
				return fmt.Errorf("logging: %w", err)
			}
			if err := options.Validate(); err != nil {
				return err
			}
			return apiserver.Run(genericapiserver.SetupSignalContext(), options)
		},
	}
	sets := options.Flags()
	logsapi.AddFlags(logging, sets.FlagSet("logs"))
	verflag.AddFlags(sets.FlagSet("global"))
	globalflag.AddGlobalFlags(sets.FlagSet("global"), command.Name(), logs.SkipLoggingConfigurationFlags())
	for _, set := range sets.FlagSets {
		command.Flags().AddFlagSet(set)
	}
	columns, _, _ := term.TerminalSize(command.OutOrStdout())
	cliflag.SetUsageAndHelpFunc(command, sets, columns)
	command.AddCommand(newBackup(), newRestore())
	return command
}
