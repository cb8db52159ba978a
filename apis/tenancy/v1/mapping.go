// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

// In returns the source as one that stands in an object of the namespace.
func (s ServiceSource) In(namespace string) ServiceSource {
	if s.VirtualCluster != nil && s.VirtualCluster.Namespace == "" {
		s.VirtualCluster = &VirtualClusterName{Namespace: namespace, Name: s.VirtualCluster.Name}
	}
	return s
}

// String tells sources apart, and people which Service is meant.
func (s ServiceSource) String() string {
	service := s.Namespace + "/" + s.Name
	if s.VirtualCluster == nil {
		return service
	}
	cluster := s.VirtualCluster.Name
	if s.VirtualCluster.Namespace != "" {
		cluster = s.VirtualCluster.Namespace + "/" + cluster
	}
	return service + " of virtual cluster " + cluster
}

// Sources are the Services of the host and of other virtual clusters that the spec names,
// each once, for an object of the namespace.
func (s *VirtualClusterSpec) Sources(namespace string) []ServiceSource {
	var sources []ServiceSource
	known := map[string]bool{}
	add := func(source ServiceSource) {
		source = source.In(namespace)
		if !known[source.String()] {
			known[source.String()] = true
			sources = append(sources, source)
		}
	}
	for i := range s.Syncer.FromHost.Services.Mappings {
		add(s.Syncer.FromHost.Services.Mappings[i].From)
	}
	for i := range s.DNS.Resolve {
		if service := s.DNS.Resolve[i].Service; service != nil {
			add(*service)
		}
	}
	return sources
}
