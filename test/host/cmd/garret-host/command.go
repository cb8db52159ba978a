// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"garret.dev/garret/test/host"
)

func newCommand() *cobra.Command {
	var dir string
	root := &cobra.Command{
		Use:           "garret-host",
		Short:         "A Kubernetes cluster on this machine, for tests",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.PersistentFlags().StringVar(&dir, "dir", ".garret/host", "folder of the cluster: its data, logs and credentials")
	root.AddCommand(upCommand(&dir), downCommand(&dir), statusCommand(&dir), loadCommand(&dir),
		restartCommand(&dir), logsCommand(&dir), userCommand(&dir), kubectlEnvCommand(&dir), addressCommand(&dir))
	return root
}

func upCommand(dir *string) *cobra.Command {
	var o host.Options
	var patterns []string
	var kubeconfig string
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Bring the cluster up, or what is missing of it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			images, err := expand(patterns)
			if err != nil {
				return err
			}
			o.Dir, o.Images, o.Progress = *dir, images, cmd.OutOrStdout()
			cluster, err := host.Up(cmd.Context(), o)
			if err != nil {
				return err
			}
			if kubeconfig == "" {
				kubeconfig = cluster.Kubeconfig()
			} else if err := copyPrivately(cluster.Kubeconfig(), kubeconfig); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Host cluster %s is up: export KUBECONFIG=%s\n", cluster.Name(), kubeconfig)
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Name, "name", "garret", "name of the cluster and, with a suffix, of its nodes")
	flags.IntVar(&o.Nodes, "nodes", 1, "number of nodes; the cluster can grow, but not shrink")
	flags.BoolVar(&o.NetworkPolicies, "network-policies", false, "have the nodes enforce NetworkPolicies")
	flags.StringVar(&o.Provider, "provider", host.Process, "what the cluster is made of: process or kind")
	flags.StringVar(&o.BinDir, "bin", "bin", "folder of the built binaries")
	flags.StringArrayVar(&patterns, "images", nil, "image archives to load: a file, a folder or a pattern; may be repeated")
	flags.StringVar(&kubeconfig, "kubeconfig", "", "also write the administrator's kubeconfig here")
	return cmd
}

func downCommand(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Take the cluster down, leaving nothing but its logs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cluster, err := host.Open(*dir)
			if errors.Is(err, fs.ErrNotExist) {
				fmt.Fprintln(cmd.OutOrStdout(), "There is no host cluster in", *dir)
				return nil
			}
			if err != nil {
				return err
			}
			if err := cluster.Down(cmd.Context()); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Host cluster %s is down\n", cluster.Name())
			return nil
		},
	}
}

func statusCommand(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the components; fails where one does not run",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cluster, err := host.Open(*dir)
			if err != nil {
				return err
			}
			components, err := cluster.Status(cmd.Context())
			if err != nil {
				return err
			}
			down := 0
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 3, ' ', 0)
			fmt.Fprintln(table, "COMPONENT\tSTATE\tPID\tDETAIL")
			for _, c := range components {
				condition, pid := "running", fmt.Sprint(c.PID)
				if c.PID == 0 {
					pid = ""
				}
				if !c.Running {
					condition = "down"
					down++
				}
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", c.Name, condition, pid, c.Detail)
			}
			if err := table.Flush(); err != nil {
				return err
			}
			if down > 0 {
				return fmt.Errorf("%d of %d components are down", down, len(components))
			}
			return nil
		},
	}
}

func loadCommand(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "load ARCHIVE...",
		Short: "Bring image archives to every node",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			images, err := expand(args)
			if err != nil {
				return err
			}
			cluster, err := host.Open(*dir)
			if err != nil {
				return err
			}
			return cluster.LoadImages(cmd.Context(), images...)
		},
	}
}

func restartCommand(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "restart COMPONENT",
		Short: "Stop a component and start it again",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cluster, err := host.Open(*dir)
			if err != nil {
				return err
			}
			return cluster.Restart(cmd.Context(), args[0])
		},
	}
}

func logsCommand(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "logs COMPONENT",
		Short: "Print the path of a component's log",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cluster, err := host.Open(*dir)
			if err != nil {
				return err
			}
			path, err := cluster.Logs(args[0])
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), path)
			return nil
		},
	}
}

func userCommand(dir *string) *cobra.Command {
	var groups []string
	cmd := &cobra.Command{
		Use:   "user NAME",
		Short: "Make a kubeconfig for a user of that name, and print its path",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cluster, err := host.Open(*dir)
			if err != nil {
				return err
			}
			path, err := cluster.UserKubeconfig(args[0], groups...)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), path)
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&groups, "group", nil, "group of the user; may be repeated")
	return cmd
}

func kubectlEnvCommand(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "kubectl-env",
		Short: "Print what a shell must evaluate for kubectl to use the cluster",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cluster, err := host.Open(*dir)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "export KUBECONFIG=%q\n", cluster.Kubeconfig())
			return nil
		},
	}
}

func addressCommand(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "address",
		Short: "Print where pods and nodes find what this machine serves",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cluster, err := host.Open(*dir)
			if err != nil {
				return err
			}
			address, err := cluster.MachineAddress()
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), address)
			return nil
		},
	}
}

// expand turns files, folders and patterns into archives. One that names
// nothing is an error: a cluster without its images fails much later.
func expand(patterns []string) ([]string, error) {
	var files []string
	for _, pattern := range patterns {
		if info, err := os.Stat(pattern); err == nil && info.IsDir() {
			pattern = filepath.Join(pattern, "*.tar")
		}
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("images %q: %w", pattern, err)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("images %q: there is no such file", pattern)
		}
		files = append(files, found...)
	}
	return files, nil
}

// copyPrivately copies a file that holds credentials; whoever reads the copy
// meanwhile sees the old one or the new one, whole.
func copyPrivately(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(to+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(to+".new", to)
}
