package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/component-base/version"

	"garret.dev/garret/cmd/controlplane/internal/datadir"
	"garret.dev/garret/cmd/controlplane/internal/flags"
	"garret.dev/garret/cmd/controlplane/internal/seed"
	"garret.dev/garret/cmd/controlplane/internal/server"
)

const (
	// settled is how long nothing may have changed for a seed to be complete.
	settled     = 2 * time.Second
	seedTimeout = 3 * time.Minute
)

// newSeedCommand makes the seed of this binary's version. It is part of the
// build, not of what users need, and therefore hidden.
func newSeedCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:    "seed",
		Short:  "Make the database that new clusters begin with",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), seedTimeout)
			defer cancel()
			objects, err := makeSeed(ctx, output)
			if err != nil {
				return fmt.Errorf("make seed: %w", err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %d objects of %s\n", output, objects, version.Get().GitVersion)
			return nil
		},
	}
	cmd.Flags().StringVar(&output, "output", "", "file to write")
	_ = cmd.MarkFlagRequired("output")
	return cmd
}

// makeSeed runs a server on an empty data directory until it has written what
// it writes at a first start, stops it, and reduces its database.
func makeSeed(ctx context.Context, output string) (objects int, err error) {
	dir, err := os.MkdirTemp("", "controlplane-seed-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	f, err := seedFlags(dir)
	if err != nil {
		return 0, err
	}
	serverCtx, stop := context.WithCancel(ctx)
	defer stop()
	s := server.New(f).WithoutSeed()
	done := make(chan error, 1)
	go func() { done <- s.Run(serverCtx) }()
	select {
	case err := <-done:
		return 0, errors.Join(errors.New("the server ended before it was ready"), err)
	case <-s.Ready():
	}
	settleErr := waitSettled(ctx, f.WriteKubeconfig)
	stop()
	if err := errors.Join(settleErr, <-done); err != nil {
		return 0, err
	}

	database := filepath.Join(dir, "server", "db", "state.db")
	if objects, err = seed.Prune(ctx, database, version.Get().GitVersion); err != nil {
		return 0, err
	}
	raw, err := os.ReadFile(database)
	if err != nil {
		return 0, err
	}
	return objects, datadir.WriteFile(output, raw, 0o444)
}

// seedFlags are the flags of a server that nobody else talks to.
func seedFlags(dir string) (*flags.Server, error) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer free.Close()
	return &flags.Server{
		DataDir:              dir,
		BindAddress:          "127.0.0.1",
		HTTPSListenPort:      free.Addr().(*net.TCPAddr).Port,
		AdvertiseAddress:     "192.0.2.1", // a documentation address: nobody is to reach it
		ClusterCIDRs:         []string{"10.42.0.0/16"},
		ServiceCIDRs:         []string{"10.43.0.0/16"},
		ServiceNodePortRange: "30000-32767",
		ClusterDomain:        "cluster.local",
		WriteKubeconfig:      filepath.Join(dir, "kubeconfig"),
	}, nil
}

// waitSettled returns when the controllers have made what they make in every
// cluster and nothing more comes.
func waitSettled(ctx context.Context, kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	last, since := 0, time.Now()
	return wait.PollUntilContextCancel(ctx, 200*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		accounts, err := client.CoreV1().ServiceAccounts("").List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		if n := len(accounts.Items); n != last {
			last, since = n, time.Now()
		}
		namespaces := 0
		for _, account := range accounts.Items {
			if account.Name == "default" {
				namespaces++
			}
		}
		aggregated := true
		for _, name := range []string{"admin", "edit", "view"} {
			role, err := client.RbacV1().ClusterRoles().Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			aggregated = aggregated && len(role.Rules) > 0
		}
		return namespaces == 4 && aggregated && time.Since(since) > settled, nil
	})
}
