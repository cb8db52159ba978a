// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package egress tests that a real API server connects through the syncer's doors, by
// whatever way a tenant steers it, and what the tenant reads when a door stays closed.
package egress

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/utils/clock"

	"garret.dev/garret/syncer/egress"
	"garret.dev/garret/syncer/pki"
	"garret.dev/garret/syncer/translate"
	"garret.dev/garret/test/framework"
)

const (
	hostNamespace = "default"
	clusterID     = "0123456789"
)

// stand is a host, a control plane, and a server that stands for whatever it connects to.
type stand struct {
	host, inside *framework.ControlPlane
	// sockets is the directory of the doors.
	sockets string
	// target is where the server is, at an address that is not on loopback.
	target netip.AddrPort
}

var shared stand

func TestMain(m *testing.M) { os.Exit(framework.Run(m, "egress", setUp)) }

func setUp(stage *framework.Stage) error {
	// Unix sockets have short names only.
	sockets, err := os.MkdirTemp("/tmp", "doors")
	if err != nil {
		return err
	}
	stage.OnStop(func() { os.RemoveAll(sockets) })
	shared.sockets = sockets
	config := "apiVersion: apiserver.k8s.io/v1beta1\nkind: EgressSelectorConfiguration\negressSelections:\n"
	for _, name := range []string{"cluster", "controlplane"} {
		config += fmt.Sprintf("- {name: %s, connection: {proxyProtocol: HTTPConnect, transport: {uds: {udsName: %s}}}}\n", name, filepath.Join(sockets, name+".sock"))
	}
	file := filepath.Join(sockets, "egress.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return err
	}
	return framework.Together(
		func() (err error) {
			// It is not at the target's address, where it would be closed as the host's.
			shared.host, err = stage.StartControlPlane("host", framework.WithoutNodes, "--advertise-address=198.51.100.1")
			return err
		},
		func() (err error) {
			shared.inside, err = stage.StartControlPlane("inside", framework.WithoutNodes, "--kube-apiserver-arg=egress-selector-config-file="+file)
			if err == nil {
				err = shared.serveTarget(stage)
			}
			return err
		},
	)
}

// serveTarget serves at every address of the machine.
func (s *stand) serveTarget(stage *framework.Stage) error {
	address, err := machineAddress()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		return err
	}
	s.target = netip.AddrPortFrom(address, listener.Addr().(*net.TCPAddr).AddrPort().Port())
	serving := pki.NewServing(pki.ServerAuthority(s.inside.Dir), "target", []string{address.String(), "127.0.0.1", "localhost", "target.default.svc"}, clock.RealClock{})
	ctx, cancel := context.WithCancel(context.Background())
	stage.OnStop(cancel)
	go func() { _ = pki.Serve(ctx, "target", listener, pki.ServerConfig(serving, nil), target()) }()
	return nil
}

func machineAddress() (netip.Addr, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Addr{}, err
	}
	for _, one := range addresses {
		if prefix, err := netip.ParsePrefix(one.String()); err == nil && prefix.Addr().Is4() && prefix.Addr().IsGlobalUnicast() {
			return prefix.Addr(), nil
		}
	}
	return netip.Addr{}, fmt.Errorf("this machine has no address but loopback: %v", addresses)
}

// open serves the doors until stop is called. The kubelet is where the cluster's door finds the syncer.
func (s *stand) open(t *testing.T, kubelet netip.AddrPort) (stop func()) {
	t.Helper()
	bounds := egress.Bounds{
		Own:    egress.NewHost(s.host.Client, translate.Cluster{ID: clusterID, Name: "demo", HostNamespace: hostNamespace}),
		Public: true, Closed: []netip.Prefix{netip.PrefixFrom(s.target.Addr(), 32)},
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	for name, door := range map[string]*egress.Door{
		egress.ClusterSocket:      {Bounds: bounds, Syncer: kubelet},
		egress.ControlPlaneSocket: {Bounds: bounds, Syncer: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), s.target.Port()), Resolver: net.DefaultResolver},
	} {
		server, err := egress.Listen(s.sockets, name, door)
		if err != nil {
			t.Fatal(err)
		}
		go func() { done <- server.Run(ctx) }()
	}
	return func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
}
