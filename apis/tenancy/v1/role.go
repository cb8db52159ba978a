// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
)

// SyncerRules are the rights that a syncer has on the host for what it syncs, given
// for each kind of the catalogue whether it is, and the kinds with a rule. What it may do
// besides stands in the chart.
func SyncerRules(synced map[string]bool, ruled ...KindRule) []rbacv1.PolicyRule {
	rights := &rights{}
	for _, kind := range Catalogue() {
		if !synced[kind.Name()] || kind.Everywhere() {
			continue
		}
		rights.add(kind.Group, kind.Resource, kind.Verbs)
		for _, sub := range kind.Subresources {
			for _, name := range sub.Names {
				rights.add(kind.Group, kind.Resource+"/"+name, sub.Verbs)
			}
		}
		for _, companion := range kind.Companions {
			twin, _ := CataloguedKind(companion.Resource)
			rights.add(twin.Group, twin.Resource, companion.Verbs)
		}
		for _, report := range kind.Reports {
			rights.add(report.Group, report.Resource, report.Verbs)
		}
	}
	for _, rule := range ruled {
		kind := rule.Synced()
		rights.add(kind.Group, kind.Resource, kind.Verbs)
	}
	// Whatever is synced, the syncer keeps a record of what it saw inside in a ConfigMap.
	rights.add("", ResourceConfigMaps, []string{"get", "create", "update", "delete"})
	return rights.rules()
}

// SyncerClusterRules are the rights that a syncer needs in the whole host cluster. The ClusterRoles
// of ClusterRoles have those of all kinds.
func SyncerClusterRules(synced map[string]bool) []rbacv1.PolicyRule {
	return rulesOf(synced, ClusterRoles()...)
}

// SyncerNodeRules are the rights that a syncer needs for what tells of nodes, besides those on nodes.
// The ClusterRole RoleHostNodes has those of all kinds.
func SyncerNodeRules(synced map[string]bool) []rbacv1.PolicyRule {
	return rulesOf(synced, RoleHostNodes)
}

func rulesOf(synced map[string]bool, roles ...string) []rbacv1.PolicyRule {
	rights := &rights{}
	for _, role := range roles {
		for _, kind := range KindsOfRole(role, synced) {
			rights.add(kind.Group, kind.Resource, kind.Verbs)
		}
	}
	return rights.rules()
}

// ClusterRoles are those by which syncers read and write what belongs to no namespace.
func ClusterRoles() []string {
	return append([]string{RoleHostClasses, RoleHostContents}, WritingRoles()...)
}

// WritingRoles are those of ClusterRoles that write. An admission policy holds who has one.
func WritingRoles() []string {
	return []string{RoleHostVolumes, RoleHostStorageClasses, RoleHostOwnContents}
}

// KindsOfRole are the selected kinds whose rights the ClusterRole has.
func KindsOfRole(role string, synced map[string]bool) []SyncedKind {
	return slices.DeleteFunc(Catalogue(), func(kind SyncedKind) bool { return kind.Role != role || !synced[kind.Name()] })
}

// rights are the verbs on each resource, in the order in which resources came.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type rights []right

// right is the verbs on one resource.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type right struct {
	group, resource string
	verbs           []string
}

// add has the resource allow the verbs, besides those that it allows already.
func (r *rights) add(group, resource string, verbs []string) {
	at := slices.IndexFunc(*r, func(known right) bool { return known.group == group && known.resource == resource })
	if at < 0 {
		*r = append(*r, right{group: group, resource: resource})
		at = len(*r) - 1
	}
	for _, verb := range verbs {
		if !slices.Contains((*r)[at].verbs, verb) {
			(*r)[at].verbs = append((*r)[at].verbs, verb)
		}
	}
}

// rules has one rule for all resources of a group with the same verbs.
func (r *rights) rules() []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	for _, one := range *r {
		verbs := slices.Sorted(slices.Values(one.verbs))
		at := slices.IndexFunc(rules, func(rule rbacv1.PolicyRule) bool {
			return rule.APIGroups[0] == one.group && slices.Equal(rule.Verbs, verbs)
		})
		if at < 0 {
			rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{one.group}, Verbs: verbs})
			at = len(rules) - 1
		}
		rules[at].Resources = append(rules[at].Resources, one.resource)
	}
	return rules
}
