// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// fabric is the name of the namespace that holds the bridge, and of the
// bridge, and of the machine's port on it.
const fabric = "fabric"

// Network is the network of one cluster on this machine.
type Network struct {
	Plan
	// Dir holds the namespace files.
	Dir string
}

// NodeName is the name of a node's namespace file and fabric port.
func NodeName(n int) string { return fmt.Sprintf("node%d", n) }

// Namespace is the file of a node's network namespace.
func (w Network) Namespace(n int) string { return filepath.Join(w.Dir, NodeName(n)) }

// Up makes whatever is missing of the network for so many nodes.
func (w Network) Up(ctx context.Context, nodes int) error {
	// Kernels that have these as modules need them; elsewhere they are built in.
	_ = exec.CommandContext(ctx, "modprobe", "-aq", "overlay", "bridge", "br_netfilter", "veth").Run()
	if err := w.upFabric(ctx); err != nil {
		return err
	}
	for n := 1; n <= nodes; n++ {
		if err := w.upNode(ctx, n); err != nil {
			return fmt.Errorf("network of node %d: %w", n, err)
		}
	}
	for n := 1; n <= nodes; n++ {
		routes := w.nodeRoutes(n, nodes)
		if err := Do(w.Namespace(n), func() error { return ip(ctx, routes...) }); err != nil {
			return fmt.Errorf("routes of node %d: %w", n, err)
		}
	}
	return ip(ctx, w.machineRoutes(nodes)...)
}

// upFabric makes the bridge and joins the machine to it.
func (w Network) upFabric(ctx context.Context) error {
	file := filepath.Join(w.Dir, fabric)
	created, err := createNamespace(file)
	if err != nil {
		return err
	}
	if created {
		err := Do(file, func() error {
			return ip(ctx, "link set lo up", "link add "+fabric+" type bridge", "link set "+fabric+" up")
		})
		if err != nil {
			return err
		}
	}
	if hasAddress(w.Link(), w.Gateway().String()) {
		return nil
	}
	_ = ip(ctx, "link del "+w.Link()) // half made by an attempt before
	err = ip(ctx,
		// Right into its namespace: here, another instance's may be on its way.
		fmt.Sprintf("link add %s type veth peer name machine netns %s", w.Link(), file),
		fmt.Sprintf("addr add %s/%d dev %s", w.Gateway(), w.NodeNet().Bits(), w.Link()),
		fmt.Sprintf("link set %s up", w.Link()),
	)
	if err != nil {
		return err
	}
	return Do(file, func() error { return ip(ctx, "link set machine master "+fabric, "link set machine up") })
}

// upNode makes a node's namespace and joins it to the bridge.
func (w Network) upNode(ctx context.Context, n int) error {
	file := w.Namespace(n)
	if _, err := createNamespace(file); err != nil {
		return err
	}
	wired := false
	if err := Do(file, func() error { wired = hasAddress("eth0", w.Node(n).String()); return nil }); err != nil || wired {
		return err
	}
	err := Do(filepath.Join(w.Dir, fabric), func() error {
		_ = ip(ctx, "link del "+NodeName(n)) // half made by an attempt before
		return ip(ctx,
			fmt.Sprintf("link add %s type veth peer name eth0 netns %s", NodeName(n), file),
			fmt.Sprintf("link set %s master %s", NodeName(n), fabric),
			fmt.Sprintf("link set %s up", NodeName(n)),
		)
	})
	if err != nil {
		return err
	}
	return Do(file, func() error {
		err := errors.Join(
			// Nodes pass on what pods send, and service addresses must be
			// translated also between two pods on the same bridge.
			os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0),
			os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-iptables", []byte("1"), 0),
		)
		if err != nil {
			return err
		}
		return ip(ctx,
			"link set lo up",
			fmt.Sprintf("addr add %s/%d dev eth0", w.Node(n), w.NodeNet().Bits()),
			"link set eth0 up",
		)
	})
}

// nodeRoutes lead from one node to the pods of all others. Without a route to services, the node
// itself cannot reach them: the kernel looks for one before kube-proxy translates the address.
func (w Network) nodeRoutes(node, nodes int) []string {
	routes := []string{fmt.Sprintf("route replace %s dev eth0", w.ServiceNet())}
	for n := 1; n <= nodes; n++ {
		if n != node {
			routes = append(routes, fmt.Sprintf("route replace %s via %s", w.NodePodNet(n), w.Node(n)))
		}
	}
	return routes
}

// machineRoutes lead from the machine to pods, and to services by way of the
// first node, whose kube-proxy translates them.
func (w Network) machineRoutes(nodes int) []string {
	routes := []string{fmt.Sprintf("route replace %s via %s", w.ServiceNet(), w.Node(1))}
	for n := 1; n <= nodes; n++ {
		routes = append(routes, fmt.Sprintf("route replace %s via %s", w.NodePodNet(n), w.Node(n)))
	}
	return routes
}

// Down removes the network, half made ones too. Routes go with the link.
func (w Network) Down(ctx context.Context) error {
	var errs []error
	if _, err := net.InterfaceByName(w.Link()); err == nil {
		err := ip(ctx, "link del "+w.Link())
		// The kernel takes a link away by itself when the namespace at its other end goes.
		if _, there := net.InterfaceByName(w.Link()); there == nil {
			errs = append(errs, err)
		}
	}
	entries, err := os.ReadDir(w.Dir)
	if err != nil && !os.IsNotExist(err) {
		errs = append(errs, err)
	}
	for _, entry := range entries {
		errs = append(errs, deleteNamespace(filepath.Join(w.Dir, entry.Name())))
	}
	return errors.Join(errs...)
}

// ip runs commands of ip(8) in one process, on the calling thread.
func ip(ctx context.Context, commands ...string) error {
	if len(commands) == 0 {
		return nil
	}
	cmd := exec.CommandContext(ctx, "ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("ip %q: %w: %s", commands, err, strings.TrimSpace(out.String()))
	}
	return nil
}

// hasAddress tells whether an interface of the calling thread's namespace has
// an address.
func hasAddress(link, address string) bool {
	iface, err := net.InterfaceByName(link)
	if err != nil {
		return false
	}
	addrs, err := iface.Addrs()
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.String() == address {
			return true
		}
	}
	return false
}
