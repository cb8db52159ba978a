// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"os"

	"garret.dev/garret/syncer/bootstrap"
	"garret.dev/garret/syncer/corefile"
)

// dns configures CoreDNS. It asks the host's DNS for names outside, as any pod of the host would: a
// node may have none of its own.
func (o *Options) dns() corefile.Cluster {
	cluster := corefile.Cluster{Domain: o.ClusterDomain}
	if content, err := os.ReadFile(o.ResolvConf); err == nil {
		cluster.Upstreams = corefile.Nameservers(content)
	}
	return cluster
}

// parts are what the virtual cluster is not ready without.
func (o *Options) parts() []string {
	parts := []string{partRights, partData, bootstrap.PartBootstrap, partSync}
	if o.EmbeddedDNS {
		parts = append(parts, partDNS)
	}
	return parts
}
