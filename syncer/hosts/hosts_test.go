// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package hosts

import "testing"

func TestName(t *testing.T) {
	const given = "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n" +
		"10.244.0.9\tdb-0\nfd00::9\tdb-0\n\n# Entries added by HostAliases.\n10.0.0.1\tfriend\tdb-0\n"
	const want = "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n" +
		"10.244.0.9\tdb-0.db.shop.svc.cluster.local\tdb-0\nfd00::9\tdb-0.db.shop.svc.cluster.local\tdb-0\n\n# Entries added by HostAliases.\n10.0.0.1\tfriend\tdb-0\n"
	if got := string(Name([]byte(given), "db-0", "db-0.db.shop.svc.cluster.local")); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	// A pod that sets its full name as hostname has that in the kubelet's file.
	if got := string(Name([]byte("10.244.0.9\tdb-0.db.shop.svc.cluster.local\n"), "db-0.db.shop.svc.cluster.local", "db-0.db.shop.svc.cluster.local")); got != "10.244.0.9\tdb-0.db.shop.svc.cluster.local\tdb-0\n" {
		t.Errorf("full name as hostname: got %q", got)
	}
}
