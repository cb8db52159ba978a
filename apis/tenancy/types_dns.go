// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy

// DNSSpec configures the DNS inside.
type DNSSpec struct {
	// resolve are names that the DNS inside answers itself, besides those of the cluster.
	Resolve []ResolveRule
}

// ResolveRule says what a name leads to. It has one of addresses, alias and service.
type ResolveRule struct {
	// name is the whole name, such as db.example.org. With *. before it, all names below are meant.
	Name string
	// addresses are those that the name has.
	Addresses []string
	// alias is another name, inside or outside, whose addresses the name has.
	Alias string
	// service is one of the host or of another virtual cluster, whose address the name has. Who
	// adds it needs the right to get the Service, or to get virtualclusters/proxy of the other virtual cluster.
	Service *ServiceSource
}
