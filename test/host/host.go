// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package host creates a whole Kubernetes cluster for tests, and deletes it again: either as
// processes of this machine, with real containers, or through kind where there is a container
// engine.
//
// A cluster belongs to a folder, which holds its data, configuration, logs and
// credentials. Its components outlive the program that started them, and Up on
// the same folder starts again only what died. Several clusters, each in a
// folder of its own, run side by side without seeing each other.
package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"

	"garret.dev/garret/test/host/internal/component"
	"garret.dev/garret/test/host/internal/network"
)

// Providers of clusters.
const (
	// Process runs the components as processes of this machine.
	Process = "process"
	// Kind runs them in containers of a container engine.
	Kind = "kind"
)

// TaintReserved is the key of the taint of reserved nodes. It keeps pods away that do not tolerate it.
const TaintReserved = component.TaintReserved

// maxDir is the longest state folder. The kubelet keeps sockets below it, and
// the kernel takes at most 107 bytes for the path of a socket.
const maxDir = 64

// Options say what cluster is wanted.
type Options struct {
	// Dir is the cluster's folder. It is made, and removed by Down.
	Dir string
	// Name of the cluster, by default "garret".
	Name string
	// Nodes is their number, by default 1. A later Up may add some.
	Nodes int
	// Reserved has all nodes but the first begin with the taint TaintReserved, so that pods go
	// there only where they tolerate it. It is for the provider Process.
	Reserved bool
	// NetworkPolicies has the nodes enforce NetworkPolicies. A later Up may add that, but not take
	// it away. It is for the provider Process, and needs the program netpol in BinDir.
	NetworkPolicies bool
	// Provider is Process (the default) or Kind.
	Provider string
	// BinDir holds the built binaries; the provider Kind needs none.
	BinDir string
	// Images are docker-format archives, which every node gets.
	Images []string
	// Progress, if not nil, is told what is going on, a line a step.
	Progress io.Writer
}

// ComponentStatus is how a component fares.
type ComponentStatus struct {
	// Name is also what Restart and Logs take.
	Name    string
	Running bool
	PID     int
	// Detail is the line of the log which tells best why it does not run.
	Detail string
}

// provider is one way of running a cluster.
type provider interface {
	up(ctx context.Context, images []string) error
	kubeconfig() string
	user(name string, groups []string) (string, error)
	load(ctx context.Context, images []string) error
	restart(ctx context.Context, component string) error
	logs(component string) (string, error)
	status(ctx context.Context) ([]ComponentStatus, error)
	down(ctx context.Context) error
}

// Cluster is a cluster that is up, or was.
type Cluster struct {
	state    state
	provider provider
}

// nameFormat keeps names fit for nodes, control groups and containers.
var nameFormat = regexp.MustCompile(`^[a-z][a-z0-9-]{0,19}$`)

// Up brings up the cluster that the options describe, or what is missing of
// it. Where it fails, the returned cluster (which may be nil) can still be
// asked for logs and taken down.
func Up(ctx context.Context, o Options) (*Cluster, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	unlock, err := lock(o.Dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	s, err := loadState(o.Dir)
	if errors.Is(err, os.ErrNotExist) {
		// Logs of a cluster before this one would mislead.
		if err := os.RemoveAll(logsDir(o.Dir)); err != nil {
			return nil, err
		}
		s = state{Dir: o.Dir, Name: o.Name, Provider: o.Provider, Index: noIndex}
	} else if err != nil {
		return nil, err
	}
	if s.Name != o.Name || s.Provider != o.Provider {
		return nil, fmt.Errorf("%s holds cluster %q of provider %s: take it down first", o.Dir, s.Name, s.Provider)
	}
	s.Nodes, s.Reserved, s.BinDir = max(s.Nodes, o.Nodes), o.Reserved, o.BinDir
	s.NetworkPolicies = s.NetworkPolicies || o.NetworkPolicies
	c, err := open(s, newProgress(o.Progress))
	if err != nil {
		return nil, err
	}
	if err := c.provider.up(ctx, o.Images); err != nil {
		return c, fmt.Errorf("host cluster %s: %w", o.Name, err)
	}
	return c, nil
}

// Open finds the cluster that a folder holds, also after a crash.
func Open(dir string) (*Cluster, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s, err := loadState(dir)
	if err != nil {
		return nil, err
	}
	return open(s, newProgress(nil))
}

func open(s state, report *progress) (*Cluster, error) {
	c := &Cluster{state: s}
	switch s.Provider {
	case Process:
		c.provider = newProcesses(&c.state, report)
	case Kind:
		c.provider = newKind(&c.state, report)
	default:
		return nil, fmt.Errorf("no provider is called %q: there are %s and %s", s.Provider, Process, Kind)
	}
	return c, nil
}

// Kubeconfig is the file with the administrator's credentials.
func (c *Cluster) Kubeconfig() string { return c.provider.kubeconfig() }

// Name is the cluster's name.
func (c *Cluster) Name() string { return c.state.Name }

// UserKubeconfig makes a kubeconfig for a user who has the rights that RBAC
// gives to that name and those groups, and returns its path.
func (c *Cluster) UserKubeconfig(name string, groups ...string) (string, error) {
	path, err := c.provider.user(name, groups)
	if err != nil {
		return "", fmt.Errorf("kubeconfig of user %s: %w", name, err)
	}
	return path, nil
}

// MachineAddress is where pods find what the machine itself serves. Only a
// cluster that is made of the machine's processes knows it.
func (c *Cluster) MachineAddress() (netip.Addr, error) {
	if c.state.Provider != Process || c.state.Index == noIndex {
		return netip.Addr{}, fmt.Errorf("host cluster %s has no address of the machine: it needs provider %s", c.state.Name, Process)
	}
	return network.Plan{Index: c.state.Index}.Gateway(), nil
}

// DeviceDirs are the name of the first node, the folder where its kubelet meets drivers of
// devices, and the one where they write what they add to containers. Only a cluster that is made
// of the machine's processes knows them.
func (c *Cluster) DeviceDirs() (node, kubelet, cdi string, err error) {
	p, ok := c.provider.(*processes)
	if !ok {
		return "", "", "", fmt.Errorf("host cluster %s has no folders for drivers of devices: it needs provider %s", c.state.Name, Process)
	}
	return p.host.Node(1), p.host.KubeletDir(1), p.host.CDIDir(1), nil
}

// LoadImages brings docker-format image archives to every node, except where
// the very images are there already.
func (c *Cluster) LoadImages(ctx context.Context, archives ...string) error {
	return c.provider.load(ctx, archives)
}

// Restart stops a component and starts it again. Those of a node are named
// like kubelet-node1; without a node the first one's is meant.
func (c *Cluster) Restart(ctx context.Context, component string) error {
	unlock, err := lock(c.state.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	return c.provider.restart(ctx, component)
}

// Logs is the path of a component's log.
func (c *Cluster) Logs(component string) (string, error) {
	return c.provider.logs(component)
}

// Status tells how each component fares.
func (c *Cluster) Status(ctx context.Context) ([]ComponentStatus, error) {
	return c.provider.status(ctx)
}

// Down takes the cluster down, with all that it made on this machine. What
// remains of its folder is the logs.
func (c *Cluster) Down(ctx context.Context) error {
	unlock, err := lock(c.state.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	if err := c.provider.down(ctx); err != nil {
		return fmt.Errorf("take down host cluster %s: %w", c.state.Name, err)
	}
	return nil
}

func (o *Options) complete() error {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return err
	}
	if o.Dir == "" || len(dir) > maxDir {
		return fmt.Errorf("state folder %q: its path must have 1 to %d characters", o.Dir, maxDir)
	}
	o.Dir = dir
	if o.Name == "" {
		o.Name = "garret"
	}
	if !nameFormat.MatchString(o.Name) {
		return fmt.Errorf("name %q of a host cluster must match %s", o.Name, nameFormat)
	}
	if o.Nodes == 0 {
		o.Nodes = 1
	}
	if o.Nodes < 1 || o.Nodes > network.MaxNodes {
		return fmt.Errorf("%d nodes: there can be 1 to %d", o.Nodes, network.MaxNodes)
	}
	if o.Provider == "" {
		o.Provider = Process
	}
	if o.NetworkPolicies && o.Provider != Process {
		return fmt.Errorf("only a host cluster of the provider %s can be made to enforce network policies, not one of %s", Process, o.Provider)
	}
	if o.BinDir, err = filepath.Abs(o.BinDir); err != nil {
		return err
	}
	return nil
}
