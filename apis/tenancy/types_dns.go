// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

// DNSSpec configures the DNS inside.
type DNSSpec struct {
	// embedded has the syncer answer names in its own process, where CoreDNS has no pods inside.
	Embedded bool
	// resolve lists names that the DNS inside answers itself, besides those of the cluster.
	Resolve []ResolveRule
}

// ResolveRule says how the DNS inside answers a name. It sets exactly one of addresses, alias
// and service.
type ResolveRule struct {
	// name is the full name, such as db.example.org. A leading *. matches all names below it.
	Name string
	// addresses are the IP addresses of the name.
	Addresses []string
	// alias is another name, inside or outside. The name gets its addresses.
	Alias string
	// service is a Service of the host or of another virtual cluster. The name gets its
	// address. Whoever adds it needs the right to get the Service, or to get
	// virtualclusters/proxy of the other virtual cluster.
	Service *ServiceSource
}
