// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package corefile

import (
	"slices"
	"strings"
	"testing"
)

func TestNameservers(t *testing.T) {
	for _, test := range []struct {
		name, content string
		want          []string
	}{
		{"a pod's", "search team.svc.cluster.local svc.cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n", []string{"10.96.0.10"}},
		{"several", "nameserver 10.0.0.1\n  nameserver\tfd00::1 \n", []string{"10.0.0.1", "fd00::1"}},
		{"loopback", "nameserver 127.0.0.53\nnameserver ::1\n", nil},
		{"zone", "nameserver fe80::1%eth0\n", nil},
		{"comments and rubbish", "# nameserver 10.0.0.1\n;nameserver 10.0.0.2\nnameserver\nnameserver example.org\n", nil},
		{"empty", "", nil},
	} {
		if got := Nameservers([]byte(test.content)); !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

func TestCorefile(t *testing.T) {
	with, without := Cluster{Domain: "example.org", Upstreams: []string{"10.96.0.10", "fd00::1"}}.ForPods(), Cluster{Domain: "example.org"}.ForPods()
	for _, want := range []string{"\n    forward . 10.96.0.10 fd00::1\n", "kubernetes example.org in-addr.arpa", ".:1053 {", "import /etc/coredns/custom/*.server",
		"disable success example.org\n", "disable denial example.org\n"} {
		if !strings.Contains(with, want) {
			t.Errorf("no %q in\n%s", want, with)
		}
	}
	if strings.Contains(without, "forward") {
		t.Errorf("without upstreams, it forwards:\n%s", without)
	}
	if strings.Count(with, "{") != strings.Count(with, "}") {
		t.Errorf("braces do not match in\n%s", with)
	}
}
