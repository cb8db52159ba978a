// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
)

// FlagShowKind has a syncer show objects of a kind of the host inside. Its value is a
// KindFromHost as JSON, with every namespace and name.
const FlagShowKind = "show-kind"

// AllNames stands for all objects of a namespace.
const AllNames = "*"

// Rule names the kind as a rule does, without any field.
func (k *KindFromHost) Rule() KindRule {
	return KindRule{APIVersion: k.APIVersion, Resource: k.Resource}
}

// Synced is the row that the kind would have in the catalogue.
func (k *KindFromHost) Synced() SyncedKind {
	rule := k.Rule()
	kind := rule.Synced()
	kind.Direction, kind.Verbs = FromHost, reading()
	return kind
}

// In is the kind with every namespace and name, for a VirtualCluster of the namespace.
func (k *KindFromHost) In(namespace string) KindFromHost {
	whole := KindFromHost{APIVersion: k.APIVersion, Resource: k.Resource, Mappings: slices.Clone(k.Mappings)}
	for i := range whole.Mappings {
		mapping := &whole.Mappings[i]
		mapping.From.Namespace = cmp.Or(mapping.From.Namespace, namespace)
		mapping.To.Name = cmp.Or(mapping.To.Name, mapping.From.Name)
	}
	return whole
}

// ShownArgs are the arguments of a syncer that shows the kinds, which name every namespace.
func ShownArgs(kinds []KindFromHost) ([]string, error) {
	var args []string
	for i := range kinds {
		text, err := json.Marshal(&kinds[i])
		if err != nil {
			return nil, fmt.Errorf("mappings of %s: %w", kinds[i].Resource, err)
		}
		args = append(args, "--"+FlagShowKind+"="+string(text))
	}
	return args, nil
}

// ParseShown reads a kind from an argument's value.
func ParseShown(text string) (KindFromHost, error) {
	var kind KindFromHost
	err := json.Unmarshal([]byte(text), &kind)
	return kind, err
}

// ShownRules are the rights on the host of a syncer that shows the kinds, by namespace: to read
// the objects by their names, or all.
func ShownRules(kinds []KindFromHost) map[string][]rbacv1.PolicyRule {
	rules := map[string][]rbacv1.PolicyRule{}
	for i := range kinds {
		kind := kinds[i].Synced()
		names, all := map[string][]string{}, map[string]bool{}
		for _, mapping := range kinds[i].Mappings {
			from := mapping.From
			if from.Name == AllNames {
				all[from.Namespace] = true
			}
			if !slices.Contains(names[from.Namespace], from.Name) {
				names[from.Namespace] = append(names[from.Namespace], from.Name)
			}
		}
		for namespace, named := range names {
			rule := rbacv1.PolicyRule{APIGroups: []string{kind.Group}, Resources: []string{kind.Resource}, Verbs: kind.Verbs, ResourceNames: named}
			if all[namespace] {
				rule.ResourceNames = nil
			}
			rules[namespace] = append(rules[namespace], rule)
		}
	}
	return rules
}
