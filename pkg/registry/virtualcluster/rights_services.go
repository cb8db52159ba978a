// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"slices"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// mappedServices is for Services that pods inside are let to. What was there may stay,
// whoever writes now.
func mappedServices(now, old *tenancy.VirtualClusterSpec) []need {
	return sourcesAdded(sourcesOfMappings(now), sourcesOfMappings(old))
}

// namedServices is for names on the host, which whoever speaks to them trusts.
func namedServices(now, old *tenancy.VirtualClusterSpec) []need {
	for _, mapping := range now.Syncer.ToHost.Services.Mappings {
		if !slices.Contains(old.Syncer.ToHost.Services.Mappings, mapping) {
			return []need{{
				verb: "create", resource: v1.ResourceServices, because: "the Service has a name of the writer's choice on the host",
				remedy: "leave the mapping out, or have that right granted to you",
			}}
		}
	}
	return nil
}

// resolvedServices is for Services that names inside lead to: pods are let to them as well.
func resolvedServices(now, old *tenancy.VirtualClusterSpec) []need {
	return sourcesAdded(sourcesOfRules(now), sourcesOfRules(old))
}

func sourcesOfRules(spec *tenancy.VirtualClusterSpec) []tenancy.ServiceSource {
	var sources []tenancy.ServiceSource
	for i := range spec.DNS.Resolve {
		if service := spec.DNS.Resolve[i].Service; service != nil {
			sources = append(sources, *service)
		}
	}
	return sources
}

func sourcesOfMappings(spec *tenancy.VirtualClusterSpec) []tenancy.ServiceSource {
	var sources []tenancy.ServiceSource
	for i := range spec.Syncer.FromHost.Services.Mappings {
		sources = append(sources, spec.Syncer.FromHost.Services.Mappings[i].From)
	}
	return sources
}

// sourcesAdded are the rights that sources take which were not there before. Who may
// enter another virtual cluster may look at its Services.
func sourcesAdded(now, old []tenancy.ServiceSource) []need {
	const remedy = "name a Service that you may reach, or have that right granted to you"
	known := map[string]bool{}
	for _, source := range old {
		known[keyOf(source)] = true
	}
	var needs []need
	for _, source := range now {
		if known[keyOf(source)] {
			continue
		}
		known[keyOf(source)] = true
		if other := source.VirtualCluster; other != nil {
			needs = append(needs, need{
				namespace: other.Namespace, verb: "get", group: tenancy.GroupName, resource: "virtualclusters", subresource: "proxy", name: other.Name,
				because: "Garret lets pods inside reach a Service of that virtual cluster", remedy: remedy,
			})
			continue
		}
		needs = append(needs, need{
			namespace: source.Namespace, verb: "get", resource: v1.ResourceServices, name: source.Name,
			because: "Garret lets pods inside reach the Service", remedy: remedy,
		})
	}
	return needs
}

// keyOf tells sources apart. No name holds a space.
func keyOf(source tenancy.ServiceSource) string {
	key := source.Namespace + " " + source.Name
	if source.VirtualCluster != nil {
		key += " " + source.VirtualCluster.Namespace + " " + source.VirtualCluster.Name
	}
	return key
}
