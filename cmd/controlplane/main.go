// Command controlplane is a Kubernetes control plane in one process, started
// and configured as "k3s server" is.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"

	_ "garret.dev/garret/cmd/controlplane/internal/quiet"
)

func main() {
	// Two components of one process each apply the logging configuration; it
	// is the same for both.
	logsapi.ReapplyHandling = logsapi.ReapplyHandlingIgnoreUnchanged

	// Packages of the components register flags for mains of their own, which
	// cobra would offer here too.
	pflag.CommandLine = pflag.NewFlagSet(os.Args[0], pflag.ContinueOnError)
	// The components talk to the API in versions that they know to be
	// deprecated; their own warnings help nobody.
	rest.SetDefaultWarningHandler(rest.NoWarnings{})

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	go func() {
		<-ctx.Done()
		// From now on a second signal ends the process at once.
		stop()
	}()
	logs.InitLogs()
	err := newCommand(ctx).Execute()
	logs.FlushLogs()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
