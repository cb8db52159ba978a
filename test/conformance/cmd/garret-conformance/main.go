// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Command garret-conformance runs Kubernetes' conformance suite in parts, and writes the
// results.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"garret.dev/garret/test/conformance"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{Use: "garret-conformance", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(runCommand(), reportCommand(), beyondCommand(), gatewayCommand())
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func runCommand() *cobra.Command {
	var r conformance.Run
	var selection, areas string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the specs that have not passed yet against one cluster",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, path := range []*string{&r.Kubeconfig, &r.BinDir} {
				absolute, err := filepath.Abs(*path)
				if err != nil {
					return err
				}
				*path = absolute
			}
			if selection != "" {
				var err error
				if r.Selection, err = conformance.ReadSelection(selection); err != nil {
					return err
				}
			}
			if areas != "" {
				var err error
				if r.Areas, err = conformance.ReadAreas(areas); err != nil {
					return err
				}
			}
			r.Progress = cmd.OutOrStdout()
			return r.Do(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&r.Dir, "dir", "", "Folder of the run.")
	flags.StringVar(&r.Kubeconfig, "kubeconfig", "", "Kubeconfig of the cluster's administrator.")
	flags.StringVar(&r.BinDir, "bin", "bin", "Folder of the built binaries.")
	flags.IntVar(&r.Processes, "processes", 8, "How many specs run side by side.")
	flags.IntVar(&r.Part, "part", 120, "How many specs make a part.")
	flags.DurationVar(&r.Limit, "limit", 110*time.Minute, "How long to go on.")
	flags.StringVar(&r.Only, "only", "", "Regular expression of specs to run instead of the whole suite.")
	flags.StringVar(&selection, "specs", "", "File that names the specs to run, a line each.")
	flags.StringVar(&areas, "areas", "", "File that chooses specs beyond the suite, by areas.")
	flags.StringVar(&r.After, "after", "", "Folder of another run; only specs run that ran there and did not pass.")
	flags.StringArrayVar(&r.Arguments, "argument", nil, "A further argument for the suite; may be repeated.")
	_ = cmd.MarkFlagRequired("dir")
	_ = cmd.MarkFlagRequired("kubeconfig")
	return cmd
}

func reportCommand() *cobra.Command {
	var dir, reasons, docs string
	var product conformance.Product
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Write the lists for the documentation, and the drafts for the CNCF's programme",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			compared, err := conformance.Compare(dir, reasons, filepath.Join(docs, "results.tsv"))
			if err != nil {
				return err
			}
			if err := os.MkdirAll(docs, 0o755); err != nil {
				return err
			}
			for name, text := range map[string]string{"results.tsv": compared.Table(), "results.md": compared.Lists()} {
				if err := os.WriteFile(filepath.Join(docs, name), []byte(text), 0o644); err != nil {
					return err
				}
			}
			return conformance.Submit(filepath.Join(dir, "inside"), filepath.Join(dir, "submission"), product)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&dir, "dir", ".garret/conformance", "Folder of the runs, which are called host and inside.")
	flags.StringVar(&reasons, "reasons", "test/conformance/reasons.yaml", "File of reasons why specs fail.")
	flags.StringVar(&docs, "docs", "docs/conformance", "Folder for the lists.")
	flags.StringVar(&product.Version, "version", "v0.1.0", "Version of Garret.")
	flags.StringVar(&product.Kubernetes, "kubernetes-version", "v1.37.2", "Version of Kubernetes inside.")
	return cmd
}

func beyondCommand() *cobra.Command {
	var dir, reasons, docs, areas string
	var r conformance.Run
	cmd := &cobra.Command{
		Use:   "beyond",
		Short: "Write the lists of specs beyond the conformance suite",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if r.Areas, err = conformance.ReadAreas(areas); err != nil {
				return err
			}
			r.Dir = dir
			chosen, err := r.Specs(cmd.Context())
			if err != nil {
				return err
			}
			table := filepath.Join(docs, "beyond.tsv")
			compared, err := conformance.Compare(dir, reasons, table)
			if err != nil {
				return err
			}
			compared.Keep(r.Areas)
			if err := os.MkdirAll(docs, 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(table, []byte(compared.Table()), 0o644); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(docs, "beyond.md"), []byte(compared.Beyond(r.Areas, chosen)), 0o644)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&dir, "dir", ".garret/conformance-beyond", "Folder of the runs, which are called host and inside.")
	flags.StringVar(&r.BinDir, "bin", "bin", "Folder of the built binaries.")
	flags.StringArrayVar(&r.Arguments, "argument", nil, "A further argument for the suite; may be repeated.")
	flags.StringVar(&areas, "areas", "test/conformance/beyond/areas.yaml", "File that chooses the specs.")
	flags.StringVar(&reasons, "reasons", "test/conformance/beyond/reasons.yaml", "File of reasons why specs fail.")
	flags.StringVar(&docs, "docs", "docs/conformance", "Folder for the lists.")
	return cmd
}

func gatewayCommand() *cobra.Command {
	var dir, reasons, docs string
	cmd := &cobra.Command{
		Use:   "gateway",
		Short: "Write the page about the Gateway API's own suite",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			compared, err := conformance.CompareGateway(dir, reasons)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(docs, 0o755); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(docs, "gateway.md"), []byte(compared.Gateway()), 0o644)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&dir, "dir", ".garret/conformance-gateway", "Folder of the logs, in folders called host and inside.")
	flags.StringVar(&reasons, "reasons", "test/conformance/gateway/reasons.yaml", "File of reasons why tests fail.")
	flags.StringVar(&docs, "docs", "docs/conformance", "Folder for the page.")
	return cmd
}
