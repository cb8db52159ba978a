//go:build before_1_37

package server

import "k8s.io/client-go/discovery"

// discoveryClient is what a client offers for discovery.
type discoveryClient = discovery.DiscoveryInterface
