// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

// DNSSpec configures the DNS inside.
type DNSSpec struct {
	// embedded has the syncer answer names in its own process, where CoreDNS has no pods inside. That
	// saves their memory. While the control plane's pod restarts, names are not answered, and a
	// tenant cannot change the configuration.
	// +optional
	// +k8s:optional
	Embedded bool `json:"embedded,omitempty"`
	// resolve are names that the DNS inside answers itself, besides those of the cluster.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=64
	Resolve []ResolveRule `json:"resolve,omitempty"`
}

// ResolveRule says what a name leads to. It has one of addresses, alias and service.
type ResolveRule struct {
	// name is the whole name, such as db.example.org. With *. before it, all names below are meant.
	// +k8s:required
	// +k8s:maxLength=253
	Name string `json:"name"`
	// addresses are those that the name has.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=16
	Addresses []string `json:"addresses,omitempty"`
	// alias is another name, inside or outside, whose addresses the name has.
	// +optional
	// +k8s:optional
	// +k8s:maxLength=253
	Alias string `json:"alias,omitempty"`
	// service is one of the host or of another virtual cluster, whose address the name has. Who
	// adds it needs the right to get the Service, or to get virtualclusters/proxy of the other virtual cluster.
	// +optional
	// +k8s:optional
	Service *ServiceSource `json:"service,omitempty"`
}
