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
	// resolve lists names that the DNS inside answers itself, besides those of the cluster.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=64
	Resolve []ResolveRule `json:"resolve,omitempty"`
}

// ResolveRule says how the DNS inside answers a name. It sets exactly one of addresses, alias
// and service.
type ResolveRule struct {
	// name is the full name, such as db.example.org. A leading *. matches all names below it.
	// +k8s:required
	// +k8s:maxLength=253
	Name string `json:"name"`
	// addresses are the IP addresses of the name.
	// +optional
	// +listType=atomic
	// +k8s:optional
	// +k8s:maxItems=16
	Addresses []string `json:"addresses,omitempty"`
	// alias is another name, inside or outside. The name gets its addresses.
	// +optional
	// +k8s:optional
	// +k8s:maxLength=253
	Alias string `json:"alias,omitempty"`
	// service is a Service of the host or of another virtual cluster. The name gets its
	// address. Whoever adds it needs the right to get the Service, or to get
	// virtualclusters/proxy of the other virtual cluster.
	// +optional
	// +k8s:optional
	Service *ServiceSource `json:"service,omitempty"`
}
