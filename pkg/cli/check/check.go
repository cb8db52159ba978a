// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package check checks a host cluster before or after Garret is installed there. Each thing
// that Garret needs is one check, and each failure has its remedy. The package changes nothing:
// it tries everything by dry run.
package check

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"

	"garret.dev/garret/pkg/cli/host"
)

// verdict of a check.
type verdict string

const (
	passed  verdict = "ok"
	warning verdict = "warning"
	failed  verdict = "failed"
)

// finding is what a check found.
type finding struct {
	verdict verdict
	detail  string
	// remedy is there unless the check passed.
	remedy string
}

func ok(format string, args ...any) finding { return finding{passed, fmt.Sprintf(format, args...), ""} }

// unknown is the finding where the host did not let the check look.
func unknown(err error, remedy string) finding { return finding{warning, err.Error(), remedy} }

// check is one thing that Garret needs of a host.
type check struct {
	name string
	run  func(context.Context, kubernetes.Interface) finding
}

// Commands makes the command.
type Commands struct {
	// Program is what the user types before the command, as "kubectl garret".
	Program string
	Flags   *host.Flags
	Streams genericiooptions.IOStreams
}

// Check returns the command "check".
func (c *Commands) Check() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check whether a host cluster has what Garret needs",
		Long: `Checks the host cluster before an installation, or after: its version, the aggregation of
APIs, your rights to install, a default storage class, Pod Security admission, network
policies and the metrics API. Each check that does not pass names its remedy.

It changes nothing on the host. The command ends with exit code 1 if a check failed; a
warning concerns something that Garret can do without.`,
		Example:           "  " + c.Program + " check",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cluster, err := c.Flags.Cluster()
			if err != nil {
				return err
			}
			client, err := cluster.Kubernetes()
			if err != nil {
				return err
			}
			if _, err := client.Discovery().ServerVersion(); err != nil {
				return cluster.Explain(err)
			}
			return c.check(cmd.Context(), client)
		},
	}
}

func (c *Commands) check(ctx context.Context, client kubernetes.Interface) error {
	out := tabwriter.NewWriter(c.Streams.Out, 0, 8, 2, ' ', 0)
	failures := 0
	for _, check := range checks() {
		found := check.run(ctx, client)
		fmt.Fprintf(out, "%s\t%s\t%s\n", found.verdict, check.name, strings.Join(strings.Fields(found.detail), " "))
		if found.remedy != "" {
			fmt.Fprintf(out, "\t\t→ %s\n", found.remedy)
		}
		if found.verdict == failed {
			failures++
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if failures > 0 {
		return host.Advise(errors.New(plural(failures)+" failed"), "follow the remedies above, and run it again")
	}
	fmt.Fprintf(c.Streams.ErrOut, "the host has what Garret needs; install or upgrade it with: %s install\n", c.Program)
	return nil
}

func plural(checks int) string {
	if checks == 1 {
		return "one check"
	}
	return fmt.Sprintf("%d checks", checks)
}
