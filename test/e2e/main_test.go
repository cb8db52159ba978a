// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

// Package e2e tests Garret as its users meet it: on a real host cluster with
// real containers, mostly through kubectl.
package e2e

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"garret.dev/garret/test/host"
)

// suite is what all tests share: a host cluster with Garret installed.
type suite struct {
	root       string // of the repository
	bin        string
	kubeconfig string        // of the host's administrator
	cluster    *host.Cluster // nil where the tests use a host that was there before
}

var shared suite

func TestMain(m *testing.M) {
	os.Exit(runSuite(m))
}

// runSuite brings the host up, runs the tests and takes the host down,
// also when the run is interrupted. GARRET_E2E_KUBECONFIG names a host that
// has Garret already; it is then left as it is.
func runSuite(m *testing.M) int {
	root, err := filepath.Abs("../..")
	if err != nil {
		return fail(err)
	}
	shared = suite{root: root, bin: filepath.Join(root, "bin")}
	if path := os.Getenv("GARRET_E2E_KUBECONFIG"); path != "" {
		if shared.kubeconfig, err = filepath.Abs(path); err != nil {
			return fail(err)
		}
		return m.Run()
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	images, err := filepath.Glob(filepath.Join(shared.bin, "images", "*.tar"))
	if err != nil {
		return fail(err)
	}
	cluster, err := host.Up(ctx, host.Options{
		Dir:      filepath.Join(root, ".garret", "e2e"),
		Name:     "e2e",
		Nodes:    1,
		Provider: "process",
		BinDir:   shared.bin,
		Images:   images,
		Progress: os.Stdout,
	})
	if cluster != nil {
		defer takeDown(cluster)
		go func() {
			<-ctx.Done()
			takeDown(cluster)
			os.Exit(130)
		}()
	}
	if err != nil {
		return fail(err)
	}
	shared.cluster, shared.kubeconfig = cluster, cluster.Kubeconfig()

	start := time.Now()
	if out, err := run(ctx, nil, filepath.Join(shared.bin, "garret"), "install", "--kubeconfig", shared.kubeconfig); err != nil {
		return fail(fmt.Errorf("garret install: %w\n%s", err, out))
	}
	fmt.Printf("garret installed in %.1fs\n", time.Since(start).Seconds())
	return m.Run()
}

func takeDown(cluster *host.Cluster) {
	if os.Getenv("GARRET_E2E_KEEP") != "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := cluster.Down(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "taking the host down:", err)
	}
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}
