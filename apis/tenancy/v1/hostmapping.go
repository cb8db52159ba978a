// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"fmt"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// FlagMapFromHost shows an object of the host inside: its value is RESOURCE:NAME=NAMESPACE/NAME.
	FlagMapFromHost = "map-from-host"
	// FlagSyncAll names kinds of which all objects go to the host, and not only what others refer to.
	FlagSyncAll = "sync-all"
)

// ReferencedResources are the kinds of which only those objects go to the host that others refer
// to, unless all are asked for. They are also the kinds that can be shown by name.
func ReferencedResources() []string { return []string{ResourceConfigMaps, ResourceSecrets} }

// HostMapping shows one object of the host's namespace inside.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type HostMapping struct {
	// Resource is one of ReferencedResources.
	Resource string
	// Host is its name on the host, Inside where it is shown.
	Host   string
	Inside types.NamespacedName
}

// String is the value of the flag.
func (m HostMapping) String() string { return m.Resource + ":" + m.Host + "=" + m.Inside.String() }

// ParseHostMapping reads the value of the flag.
func ParseHostMapping(value string) (HostMapping, error) {
	resource, names, _ := strings.Cut(value, ":")
	host, inside, _ := strings.Cut(names, "=")
	namespace, name, _ := strings.Cut(inside, "/")
	if host == "" || namespace == "" || name == "" || resource != ResourceConfigMaps && resource != ResourceSecrets {
		return HostMapping{}, fmt.Errorf("--%s=%s: must have the form %s or %s, a colon, and NAME=NAMESPACE/NAME", FlagMapFromHost, value, ResourceConfigMaps, ResourceSecrets)
	}
	return HostMapping{resource, host, types.NamespacedName{Namespace: namespace, Name: name}}, nil
}

// HostMappings are all that the spec asks for.
func (s *SyncerSpec) HostMappings() []HostMapping {
	var all []HostMapping
	add := func(resource string, objects *ObjectsFromHost) {
		for _, each := range objects.Mappings {
			all = append(all, HostMapping{resource, each.From.Name, types.NamespacedName{Namespace: each.To.Namespace, Name: each.To.Name}})
		}
	}
	add(ResourceConfigMaps, &s.FromHost.ConfigMaps)
	add(ResourceSecrets, &s.FromHost.Secrets)
	return all
}

// MappingRules are the rights of a syncer that reads the objects by their names.
func MappingRules(mappings []HostMapping) []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	for _, resource := range ReferencedResources() {
		rule := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{resource}, Verbs: reading()}
		for _, mapping := range mappings {
			if mapping.Resource == resource {
				rule.ResourceNames = append(rule.ResourceNames, mapping.Host)
			}
		}
		if len(rule.ResourceNames) > 0 {
			rules = append(rules, rule)
		}
	}
	return rules
}
