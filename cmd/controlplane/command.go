package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/component-base/version"
	"k8s.io/klog/v2"

	"garret.dev/garret/cmd/controlplane/internal/flags"
	"garret.dev/garret/cmd/controlplane/internal/server"
)

func newCommand(ctx context.Context) *cobra.Command {
	root := &cobra.Command{
		Use:           "controlplane",
		Short:         "A Kubernetes control plane in one process, under the contract of k3s server",
		Version:       version.Get().GitVersion,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
	}
	root.SetContext(ctx)
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetVersionTemplate("controlplane version {{.Version}}\n")
	root.AddCommand(newServerCommand(), newSeedCommand())
	return root
}

func newServerCommand() *cobra.Command {
	f := &flags.Server{}
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Run the control plane",
		Long: `Run kube-apiserver, kube-controller-manager and their datastore in one process.

Flags are those of "k3s server". Each is also a key of the config file, and some
are environment variables (K3S_TOKEN, K3S_DATASTORE_ENDPOINT, …). A flag for what
this binary does not hold is refused.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.MergeSources(cmd.Flags(), os.Getenv); err != nil {
				return err
			}
			warnings, err := f.Validate(cmd.Flags())
			if err != nil {
				return fmt.Errorf("invalid flags:\n%w", err)
			}
			for _, warning := range warnings {
				klog.FromContext(cmd.Context()).Info(warning, "level", "warning")
			}
			return server.New(f).Run(cmd.Context())
		},
	}
	f.AddFlags(cmd.Flags())
	return cmd
}
