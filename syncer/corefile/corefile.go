// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package corefile writes the configuration of CoreDNS for a virtual cluster: for pods of its own
// inside, and for the syncer's process.
package corefile

import (
	"fmt"
	"net/netip"
	"strings"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// Ports of CoreDNS in pods, besides that of the DNS itself.
const (
	HealthPort  = 8080
	ReadyPort   = 8181
	MetricsPort = 9153
)

// Cluster is what both forms depend on.
type Cluster struct {
	// Domain is that of the cluster, such as cluster.local.
	Domain string
	// Upstreams are asked for other names. CoreDNS does not start with an empty list, so
	// without any, other names are unknown.
	Upstreams []string
}

// kubernetes are the options of the zone of the cluster.
const kubernetes = `{
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
`

// ForPods is the Corefile of CoreDNS in pods. A tenant may change it, and add to it.
func (c Cluster) ForPods() string {
	loop := ""
	if len(c.Upstreams) > 0 {
		loop = "    loop\n"
	}
	return fmt.Sprintf(`.:%d {
    errors
    health :%d
    ready :%d
    kubernetes %s in-addr.arpa ip6.arpa %s    prometheus :%d
%s%s%s    reload
    loadbalance
    import /etc/coredns/config/*.resolve
    import /etc/coredns/custom/*.override
}
import /etc/coredns/custom/*.server
`, tenancyv1.PortDNS, HealthPort, ReadyPort, c.Domain, kubernetes, MetricsPort, c.forward(), loop, c.cache())
}

// Embedded is the Corefile for the syncer's process. The directive stands for the plugin
// kubernetes, with its arguments before those of the plugin. Nothing of it is a tenant's: what reads
// files, or listens elsewhere, would do so with the syncer's rights. The plugin loop ends the whole
// process where it finds one, and the syncer's own DNS server never leads back to it.
func (c Cluster) Embedded(directive, address string, port int, rules string) string {
	bind := ""
	if address != "" {
		bind = "    bind " + address + "\n"
	}
	return fmt.Sprintf(`.:%d {
%s    errors
    %s %s in-addr.arpa ip6.arpa %s%s%s    loadbalance
%s}
`, port, bind, directive, c.Domain, kubernetes, c.forward(), c.cache(), rules)
}

func (c Cluster) forward() string {
	if len(c.Upstreams) == 0 {
		return ""
	}
	return fmt.Sprintf("    forward . %s\n", strings.Join(c.Upstreams, " "))
}

// cache leaves out the zone of the cluster: CoreDNS has it in memory, and a name that was
// asked for a moment too early would stay unknown.
func (c Cluster) cache() string {
	return fmt.Sprintf(`    cache 30 {
        disable success %s
        disable denial %s
    }
`, c.Domain, c.Domain)
}

// Nameservers reads the addresses of DNS servers in a resolv.conf. It leaves out one on
// loopback, which is of the syncer's pod alone.
func Nameservers(resolvConf []byte) []string {
	var addresses []string
	for line := range strings.Lines(string(resolvConf)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if address, err := netip.ParseAddr(fields[1]); err == nil && !address.IsLoopback() && address.Zone() == "" {
			addresses = append(addresses, address.String())
		}
	}
	return addresses
}
