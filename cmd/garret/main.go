// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Command garret creates, enters and deletes virtual clusters. Installed as kubectl-garret it
// is a plugin of kubectl.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	// Credential plugins that kubectl has built in, so that every kubeconfig works.
	_ "k8s.io/client-go/plugin/pkg/client/auth"

	"garret.dev/garret/pkg/cli"
	"garret.dev/garret/pkg/cli/exit"
)

func main() {
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	rest.SetDefaultWarningHandler(rest.NewWarningWriter(os.Stderr, rest.WarningWriterOptions{Deduplicate: true}))
	// What client libraries log is not for the eyes of one who types commands.
	klog.SetLogger(logr.Discard())

	err := cli.New(os.Args[0], streams).ExecuteContext(ctx)
	code := exit.Of(ctx, err)
	switch code {
	case exit.OK:
	case exit.Interrupted:
		fmt.Fprintln(os.Stderr, "interrupted; what was begun on the host cluster goes on")
	default:
		if said := err.Error(); said != "" {
			fmt.Fprintln(os.Stderr, "error:", said)
		}
	}
	return code
}
