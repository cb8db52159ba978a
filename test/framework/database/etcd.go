// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package database

import (
	"context"
	"crypto/tls"
	"net"
	"syscall"
	"testing"
	"time"

	"garret.dev/garret/test/framework"
)

// StartEtcd runs an etcd of one member on loopback until the test ends. It
// takes clients with a certificate of its authority only.
func StartEtcd(t testing.TB) *Server {
	t.Helper()
	program, err := framework.Binary("kube")
	if err != nil {
		t.Fatal(err)
	}
	h := newHome(t, "", net.IPv4(127, 0, 0, 1))
	peer, err := framework.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	peerURL := (&net.TCPAddr{IP: h.address, Port: peer}).String()
	clientURL := (&net.TCPAddr{IP: h.address, Port: h.port}).String()
	s := h.start(t, syscall.SIGTERM, program, "etcd", "--data-dir="+h.path("data"), "--unsafe-no-fsync",
		"--listen-client-urls=https://"+clientURL, "--advertise-client-urls=https://"+clientURL,
		"--listen-peer-urls=http://"+peerURL, "--initial-advertise-peer-urls=http://"+peerURL, "--initial-cluster=default=http://"+peerURL,
		"--cert-file="+h.serverCert, "--key-file="+h.serverKey, "--trusted-ca-file="+h.authority.file, "--client-cert-auth")
	s.Flags = []string{"--etcd-servers=https://" + s.Address, "--etcd-cafile=" + s.CAFile,
		"--etcd-certfile=" + s.CertFile, "--etcd-keyfile=" + s.KeyFile}
	await(t, s, func(ctx context.Context) error {
		pair, err := tls.LoadX509KeyPair(s.CertFile, s.KeyFile)
		if err != nil {
			return err
		}
		dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: time.Second},
			// Only whether it listens is of interest here.
			Config: &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}}} //nolint:gosec // see above
		connection, err := dialer.DialContext(ctx, "tcp", s.Address)
		if err != nil {
			return err
		}
		return connection.Close()
	})
	return s
}
