// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Command garret-host creates a Kubernetes cluster on this machine, for tests and for trying
// things out, and deletes it again.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := newCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
