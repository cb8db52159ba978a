// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"net"
	"strings"
	"testing"
)

// TestServiceAddress has a name stand for what no Service has, as an ExternalName can.
func TestServiceAddress(t *testing.T) {
	for address, refused := range map[string]bool{
		"10.96.7.7:443":              false,
		"203.0.113.9:8443":           false, // a range of services need not be a private one
		"[fd00:10:96::7]:443":        false,
		"127.0.0.1:8443":             true,
		"127.8.0.1:443":              true,
		"[::1]:8443":                 true,
		"[::ffff:127.0.0.1]:443":     true,
		"169.254.169.254:443":        true,
		"[::ffff:169.254.169.254]:1": true,
		"[fe80::1%eth0]:443":         true,
		"0.0.0.0:8443":               true,
		"[::]:8443":                  true,
		"224.0.0.1:443":              true,
		"[ff02::1]:443":              true,
		"255.255.255.255:443":        true,
		"vc-blue.team.svc:443":       true,
	} {
		if err := serviceAddress("tcp", address, nil); (err != nil) != refused {
			t.Errorf("%s: got %v, want refused %t", address, err, refused)
		}
	}
}

func TestDialDNSStaysOutside(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := DialDNS()(t.Context(), "tcp", listener.Addr().String())
	if err == nil {
		conn.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "not the address of a Service") {
		t.Errorf("got %v, want a connection to garret-apiserver itself refused", err)
	}
}
