// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package suite creates what tests of the whole product need: a host cluster with Garret
// installed in it.
package suite

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"sync"
	"syscall"
	"testing"
	"time"

	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/host"
)

// downTime is what taking the host down may need.
const downTime = 30 * time.Second

// Suite is what tests of a package share: a host cluster with Garret installed.
type Suite struct {
	// Name of the host that Main brings up.
	Name string
	// Bare is for tests that install Garret themselves.
	Bare bool
	// Bin is a folder below bin whose programs the host is made of, such as one of an
	// older minor; by default bin itself.
	Bin string
	// Reserved is how many further nodes the host has, where pods go only if they tolerate
	// the taint host.TaintReserved.
	Reserved int

	// Kubeconfig is that of the host's administrator.
	Kubeconfig string
	// Cluster is nil where the tests use a host that was there before.
	Cluster *host.Cluster
}

// Main runs the tests of a package, each suite on a host of its own, and returns
// the exit code. The hosts are taken down at the end, also when the run is
// interrupted.
//
// GARRET_E2E_KUBECONFIG names a host that has Garret already; it is then used,
// and left as it is. GARRET_E2E_KEEP keeps hosts that were brought up.
func Main(m *testing.M, suites ...*Suite) int {
	if path := os.Getenv("GARRET_E2E_KUBECONFIG"); path != "" {
		path, err := filepath.Abs(path)
		if err != nil {
			return fail(err)
		}
		for _, s := range suites {
			s.Kubeconfig = path
		}
		return m.Run()
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	down := sync.OnceFunc(func() { takeDown(suites) })
	defer down()
	var starts []func() error
	for _, s := range suites {
		starts = append(starts, func() error { return s.bringUp(ctx) })
	}
	err := framework.Together(starts...)
	unhook := context.AfterFunc(ctx, func() {
		down()
		os.Exit(130)
	})
	// Before ctx ends by itself, which is no signal.
	defer unhook()
	if err != nil {
		return fail(err)
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

// bringUp brings the host up, with Garret on it. Cluster is set also where that fails.
func (s *Suite) bringUp(ctx context.Context) error {
	root, err := framework.Root()
	if err != nil {
		return err
	}
	bin := filepath.Join(root, "bin")
	images, err := filepath.Glob(filepath.Join(bin, "images", "*.tar"))
	if err != nil {
		return err
	}
	dir := filepath.Join(root, ".garret", s.Name)
	// What a killed run has left is of other binaries, and of other tests' objects.
	if left, err := host.Open(dir); err == nil {
		if err := left.Down(ctx); err != nil {
			return fmt.Errorf("the host that an earlier run left: %w", err)
		}
	}
	s.Cluster, err = host.Up(ctx, host.Options{
		Dir:      dir,
		Name:     s.Name,
		Nodes:    1 + s.Reserved,
		Reserved: s.Reserved > 0,
		Provider: host.Process,
		BinDir:   filepath.Join(bin, s.Bin),
		Images:   images,
		Progress: os.Stdout,
	})
	if err != nil {
		return err
	}
	s.Kubeconfig = s.Cluster.Kubeconfig()
	if s.Bare {
		return nil
	}
	return s.install()
}

func (s *Suite) install() error {
	start := time.Now()
	if _, err := s.Admin().Tool("garret", "install"); err != nil {
		return err
	}
	fmt.Printf("garret installed in %.1fs\n", time.Since(start).Seconds())
	return nil
}

// takeDown takes down the hosts that are up, all at the same time.
func takeDown(suites []*Suite) {
	if os.Getenv("GARRET_E2E_KEEP") != "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var ends []func() error
	for _, s := range suites {
		if s.Cluster != nil {
			ends = append(ends, func() error { return s.Cluster.Down(ctx) })
		}
	}
	if err := framework.Together(ends...); err != nil {
		fmt.Fprintln(os.Stderr, "taking the host down:", err)
	}
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}
