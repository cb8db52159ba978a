// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package vcluster holds the commands on virtual clusters: create, list, use,
// delete, kubeconfig, sleep, wake, and recover.
//
// A command writes its result to standard output, and its progress to standard error, so that
// output can be piped while a person watches.
package vcluster

import (
	"fmt"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/pkg/cli/host"
)

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
