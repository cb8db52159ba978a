// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/cli/host"
)

const (
	// setName and containerName are those of the install chart.
	setName       = "garret-apiserver"
	containerName = "apiserver"
	podName       = setName + "-0"
	claimTemplate = "data"
	// binary is where the image has it; there is no shell that would look for it.
	binary      = "/usr/local/bin/garret-apiserver"
	endpointEnv = "GARRET_DATASTORE_ENDPOINT"

	defaultTimeout = 5 * time.Minute
)

// Commands makes the commands that save Garret's data and put them back.
type Commands struct {
	// Program is what the user types before the command.
	Program string
	Flags   *host.Flags
	Streams genericiooptions.IOStreams
}

// installation is Garret on a host cluster.
type installation struct {
	config *rest.Config
	client kubernetes.Interface
	set    *appsv1.StatefulSet
	say    func(format string, args ...any)
}

// Backup returns the command "backup".
func (c *Commands) Backup() *cobra.Command {
	var output string
	command := &cobra.Command{
		Use:   "backup --output FILE",
		Short: "Save Garret's own database to a file, while Garret runs",
		Long: `Saves the embedded database of Garret's API server to a file: every virtual cluster, template and host cluster, with
its UID. It is consistent although Garret runs on, and checked. What is inside virtual clusters is not in it: that
is on the volumes of their own control planes.`,
		Example:           "  " + c.Program + " backup --output garret.db",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output == "" {
				return host.Misuse(errors.New("no file is named that the backup goes to"), "add --output FILE")
			}
			return c.with(cmd.Context(), func(ctx context.Context, i *installation) error { return i.save(ctx, output) })
		},
	}
	command.Flags().StringVarP(&output, "output", "o", "", "file to write; it must not exist yet")
	return command
}

// Restore returns the command "restore".
func (c *Commands) Restore() *cobra.Command {
	var force bool
	timeout := defaultTimeout
	command := &cobra.Command{
		Use:   "restore FILE",
		Short: "Restore a database that backup saved",
		Long: `Replaces Garret's embedded database with a file of "backup". Garret's API does not answer meanwhile, for half a minute
or so. Virtual clusters keep running, and keep their UIDs. Virtual clusters that were created
after the backup keep running as well, but Garret does not know them any more.`,
		Example:           "  " + c.Program + " restore garret.db --force",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: nil,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, i *installation) error {
				ctx, cancel := context.WithTimeout(ctx, timeout)
				defer cancel()
				return i.restore(ctx, args[0], force)
			})
		},
	}
	command.Flags().BoolVar(&force, "force", false, "replace the database that is there; it is kept on the volume beside the new one")
	command.Flags().DurationVar(&timeout, "timeout", timeout, "how long all of it may take")
	return command
}

// with finds the installation, and explains the errors of its host.
func (c *Commands) with(ctx context.Context, run func(context.Context, *installation) error) error {
	cluster, err := c.Flags.Cluster()
	if err != nil {
		return err
	}
	client, err := cluster.Kubernetes()
	if err != nil {
		return err
	}
	i := &installation{config: cluster.Config, client: client, say: func(format string, args ...any) {
		fmt.Fprintf(c.Streams.ErrOut, format+"\n", args...)
	}}
	if err := i.find(ctx); err != nil {
		return cluster.Explain(err)
	}
	return cluster.Explain(run(ctx, i))
}

// find looks whether Garret is there, with a database of its own.
func (i *installation) find(ctx context.Context) (err error) {
	i.set, err = i.client.AppsV1().StatefulSets(tenancyv1.SystemNamespace).Get(ctx, setName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return host.Advise(errors.New("Garret is not installed on this cluster"), "install it first, then restore")
	}
	if err != nil {
		return err
	}
	for _, container := range i.set.Spec.Template.Spec.Containers {
		external := slices.ContainsFunc(container.Args, func(arg string) bool {
			return strings.HasPrefix(arg, "--etcd-servers") || strings.HasPrefix(arg, "--datastore-endpoint")
		})
		for _, variable := range container.Env {
			external = external || variable.Name == endpointEnv
		}
		if external {
			return host.Advise(errors.New("Garret keeps its objects in an external datastore"), "save and restore it with its own tools")
		}
	}
	return nil
}
