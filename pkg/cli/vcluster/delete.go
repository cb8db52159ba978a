// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/pkg/cli/host"
	"garret.dev/garret/pkg/cli/kubeconfig"
	"garret.dev/garret/pkg/cli/subject"
)

type deleteOptions struct {
	wait           bool
	timeout        time.Duration
	ignoreNotFound bool
}

// Delete returns the command "delete".
func (c *Commands) Delete() *cobra.Command {
	options := deleteOptions{wait: true, timeout: defaultTimeout}
	cmd := &cobra.Command{
		Use:   "delete NAME...",
		Short: "Delete virtual clusters with all that is in them",
		Long: `Deletes virtual clusters, everything inside them, and the contexts in your kubeconfig
that led there. It waits until nothing is left on the host. The volume of the control
plane goes too, unless spec.controlPlane.storage.whenDeleted says Retain.`,
		Example:           "  " + c.Program + " delete demo --space team-a",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: subject.Completion(c.Flags, true),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.delete(cmd.Context(), args, options)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&options.wait, "wait", options.wait, "wait until nothing is left on the host")
	flags.DurationVar(&options.timeout, "timeout", options.timeout, "how long to wait")
	flags.BoolVar(&options.ignoreNotFound, "ignore-not-found", false, "a virtual cluster that is not there is no error")
	return subject.Optional(cmd)
}

func (c *Commands) delete(ctx context.Context, names []string, options deleteOptions) error {
	cluster, client, err := c.connect()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := c.deleteOne(ctx, cluster, client, name, options); err != nil {
			return cluster.Explain(err)
		}
	}
	return nil
}

func (c *Commands) deleteOne(ctx context.Context, cluster *host.Cluster, client versioned.Interface, name string, options deleteOptions) error {
	start := time.Now()
	clusters := client.TenancyV1().VirtualClusters(cluster.Namespace)
	object, err := clusters.Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		// The very one that was seen, not one of the same name made meanwhile.
		err = clusters.Delete(ctx, name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(object.UID))})
	}
	missing := apierrors.IsNotFound(err)
	if err != nil && (!missing || !options.ignoreNotFound) {
		return err
	}
	if err := c.forget(ctx, cluster, name); err != nil {
		return err
	}
	if missing {
		c.say("virtual cluster %s is not there", name)
		return nil
	}
	if !options.wait {
		c.say("virtual cluster %s is being deleted", name)
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, options.timeout)
	defer cancel()
	if err := waitGone(waiting, client, object, progress(c.Streams.ErrOut, start, describe)); err != nil {
		if waiting.Err() == nil {
			return err
		}
		return host.NotReady(fmt.Errorf("virtual cluster %s is not gone after %s", name, seconds(time.Since(start))),
			"it goes on by itself; kubectl describe vc %s -n %s says what it waits for", name, cluster.Namespace)
	}
	c.say("virtual cluster %s deleted after %s", name, seconds(time.Since(start)))
	return nil
}

// forget removes the contexts through this host that led into the virtual cluster.
func (c *Commands) forget(ctx context.Context, cluster *host.Cluster, name string) error {
	removed, err := cluster.Files.Remove(ctx, func(link kubeconfig.Link) bool {
		return link == kubeconfig.Link{HostContext: cluster.Context, Namespace: cluster.Namespace, Name: name}
	})
	if removed > 0 {
		c.say("its context was taken out of the kubeconfig")
	}
	return err
}
