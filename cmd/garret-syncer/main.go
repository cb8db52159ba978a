// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Command garret-syncer runs beside the control plane of one virtual cluster, and copies what
// needs real machines to the host cluster.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/component-base/version"
	"k8s.io/klog/v2"

	"garret.dev/garret/pkg/footprint"
	"garret.dev/garret/syncer"
	"garret.dev/garret/syncer/hosts"
)

const (
	// busyPercent is how far the heap may grow beyond what it holds, as is usual with Go.
	busyPercent = 100
	// idleGarbage is how many bytes gather before a syncer that has nothing to do collects them.
	idleGarbage = 4 << 20
	// idleRate is how many bytes a second a syncer allocates at most that has nothing to do.
	idleRate = 512 << 10
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		klog.FromContext(ctx).Error(err, "Stopped")
		klog.Flush()
		os.Exit(1)
	}
}

func command() *cobra.Command {
	options := syncer.NewOptions()
	command := &cobra.Command{
		Use:           "garret-syncer",
		Short:         "Carries what needs real machines from a virtual cluster to its host cluster",
		Version:       version.Get().GitVersion,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			defer klog.Flush()
			options.Complete()
			if err := options.Validate(); err != nil {
				return fmt.Errorf("options: %w", err)
			}
			go tend(cmd.Context())
			return syncer.Run(cmd.Context(), *options)
		},
	}
	command.AddCommand(hosts.NewCommand())
	options.AddFlags(command.Flags())
	logging := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(logging)
	command.Flags().AddGoFlagSet(logging)
	return command
}

// tend keeps the memory of a syncer that has nothing to do small, until the context ends.
func tend(ctx context.Context) {
	footprint.Tend(ctx, footprint.Settings{Busy: busyPercent, Garbage: idleGarbage, Rate: idleRate, Report: func(err error) {
		klog.FromContext(ctx).V(1).Info("Cannot adapt the process to how much it is used", "reason", err.Error())
	}})
}
