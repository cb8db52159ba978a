// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package vcluster holds the commands on virtual clusters: create, list, use,
// delete, kubeconfig, and recover.
//
// What a command yields goes to standard output, what it tells along the way to
// standard error, so that output can be piped while a person watches.
package vcluster

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/pkg/cli/host"
)

// completionTimeout bounds the request behind a press of the tab key.
const completionTimeout = 3 * time.Second

// aliases are the other names of the noun than the one given.
func aliases(name string) []string {
	names := []string{"vcluster", "vclusters", "vc", "virtualcluster", "virtualclusters"}
	return slices.DeleteFunc(names, func(other string) bool { return other == name })
}

// Commands makes the commands on virtual clusters.
type Commands struct {
	// Program is what the user types before the command, as "kubectl garret".
	Program string
	Flags   *host.Flags
	Streams genericiooptions.IOStreams
	// Terminal says that somebody can be asked.
	Terminal bool
}

// connect resolves the host cluster and a client of Garret's API there.
func (c *Commands) connect() (*host.Cluster, versioned.Interface, error) {
	cluster, err := c.Flags.Cluster()
	if err != nil {
		return nil, nil, err
	}
	client, err := cluster.Tenancy()
	if err != nil {
		return nil, nil, fmt.Errorf("client of the host cluster: %w", err)
	}
	return cluster, client, nil
}

// say tells the user something along the way.
func (c *Commands) say(format string, args ...any) {
	fmt.Fprintf(c.Streams.ErrOut, format+"\n", args...)
}

// completeNames offers the names of the virtual clusters in the namespace.
func (c *Commands) completeNames(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	cluster, client, err := c.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	list, err := client.TenancyV1().VirtualClusters(cluster.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	names := make([]string, 0, len(list.Items))
	for _, item := range list.Items {
		names = append(names, item.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// exactlyOne asks for the one argument in words that name the remedy.
func exactlyOne(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return host.Misuse(fmt.Errorf("%s takes exactly one name, got %d", cmd.CommandPath(), len(args)), "usage: %s", cmd.UseLine())
	}
	return nil
}
