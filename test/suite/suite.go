// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package suite brings up what tests of the whole product stand on: a host
// cluster with Garret installed in it.
package suite

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"sync"
	"syscall"
	"testing"
	"time"

	"garret.dev/garret/test/host"
)

// downTime is what taking the host down may need.
const downTime = 30 * time.Second

// Suite is what all tests of a package share: a host cluster with Garret installed.
type Suite struct {
	// Bin is the folder of the built binaries.
	Bin string
	// Kubeconfig is that of the host's administrator.
	Kubeconfig string
	// Cluster is nil where the tests use a host that was there before.
	Cluster *host.Cluster
	// Bare is set before Main by tests that install Garret themselves.
	Bare bool
}

// Main runs the tests of a package on a host of their own, called name, and
// returns the exit code. The host is taken down at the end, also when the run is
// interrupted.
//
// GARRET_E2E_KUBECONFIG names a host that has Garret already; it is then used,
// and left as it is. GARRET_E2E_KEEP keeps a host that was brought up.
func Main(m *testing.M, name string, into *Suite) int {
	root, err := repository()
	if err != nil {
		return fail(err)
	}
	into.Bin = filepath.Join(root, "bin")
	if path := os.Getenv("GARRET_E2E_KUBECONFIG"); path != "" {
		if into.Kubeconfig, err = filepath.Abs(path); err != nil {
			return fail(err)
		}
		return m.Run()
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	cluster, err := bringUp(ctx, root, name)
	down := func() {}
	if cluster != nil {
		down = sync.OnceFunc(func() { takeDown(cluster) })
		defer down()
		unhook := context.AfterFunc(ctx, func() {
			down()
			os.Exit(130)
		})
		// Before ctx ends by itself, which is no signal.
		defer unhook()
	}
	if err != nil {
		return fail(err)
	}
	into.Cluster, into.Kubeconfig = cluster, cluster.Kubeconfig()
	if !into.Bare {
		if err := into.install(ctx); err != nil {
			return fail(err)
		}
	}
	defer beforeTimeout(down)()
	code := m.Run()
	// A signal from here on must not hinder the orderly end.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM)
	return code
}

// beforeTimeout has down called when the time that go test gives to the package
// is all but over: its panic would leave the host running. The function that it
// returns calls that off.
func beforeTimeout(down func()) (stop func()) {
	flag.Parse()
	limit := flag.Lookup("test.timeout").Value.(flag.Getter).Get().(time.Duration)
	if limit <= 0 {
		return func() {}
	}
	timer := time.AfterFunc(limit-min(limit/10, downTime), func() {
		fmt.Fprintf(os.Stderr, "the tests take longer than the %s that they have:\n", limit)
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
		down()
		os.Exit(2)
	})
	return func() { timer.Stop() }
}

// repository finds the root of the repository above the folder of the tests.
func repository() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no go.work lies above %s", start)
}

func bringUp(ctx context.Context, root, name string) (*host.Cluster, error) {
	bin := filepath.Join(root, "bin")
	images, err := filepath.Glob(filepath.Join(bin, "images", "*.tar"))
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(root, ".garret", name)
	// What a killed run has left is of other binaries, and of other tests' objects.
	if left, err := host.Open(dir); err == nil {
		if err := left.Down(ctx); err != nil {
			return nil, fmt.Errorf("the host that an earlier run left: %w", err)
		}
	}
	return host.Up(ctx, host.Options{
		Dir:      dir,
		Name:     name,
		Nodes:    1,
		Provider: "process",
		BinDir:   bin,
		Images:   images,
		Progress: os.Stdout,
	})
}

func (s *Suite) install(ctx context.Context) error {
	start := time.Now()
	cmd := exec.CommandContext(ctx, filepath.Join(s.Bin, "garret"), "install", "--kubeconfig", s.Kubeconfig)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("garret install: %w\n%s", err, out)
	}
	fmt.Printf("garret installed in %.1fs\n", time.Since(start).Seconds())
	return nil
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
