// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// FlagSyncByRule has a syncer carry a kind by a rule. Its value is the rule as JSON.
const FlagSyncByRule = "sync-by-rule"

// FlagReleaseKind makes a syncer remove its finalizer from objects inside, of a kind that holds
// data and has lost its rule. Its value is as in status.customKinds.
const FlagReleaseKind = "release-kind"

// Step is a part of a path: a field, and whether the rest is about each item of its list.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type Step struct {
	Name string
	Each bool
}

// step is a field as CustomResourceDefinitions name it. A kubelet replaces $(NAME) in an
// argument, which is therefore no name.
var step = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// ParsePath takes a path such as spec.items[].name apart.
func ParsePath(path string) ([]Step, error) {
	var steps []Step
	for part := range strings.SplitSeq(path, ".") {
		name, each := strings.CutSuffix(part, "[]")
		if !step.MatchString(name) {
			return nil, fmt.Errorf("%q is no name of a field: write a path such as spec.items[].name", part)
		}
		steps = append(steps, Step{Name: name, Each: each})
	}
	return steps, nil
}

// GroupVersionResource names the kind on both sides.
func (r *KindRule) GroupVersionResource() schema.GroupVersionResource {
	group, version, _ := strings.Cut(r.APIVersion, "/")
	return schema.GroupVersionResource{Group: group, Version: version, Resource: r.Resource}
}

// Definition is the name of the CustomResourceDefinition, RESOURCE.GROUP.
func (r *KindRule) Definition() string {
	return r.GroupVersionResource().GroupResource().String()
}

// CustomKind is how status.customKinds names the kind, RESOURCE.VERSION.GROUP.
func (r *KindRule) CustomKind() string {
	at := r.GroupVersionResource()
	return at.Resource + "." + at.Version + "." + at.Group
}

// ParseCustomKind is the row of a kind of status.customKinds.
func ParseCustomKind(name string) (SyncedKind, error) {
	at, _ := schema.ParseResourceArg(name)
	if at == nil {
		return SyncedKind{}, fmt.Errorf("%q is no RESOURCE.VERSION.GROUP", name)
	}
	rule := KindRule{APIVersion: at.GroupVersion().String(), Resource: at.Resource}
	return rule.Synced(), nil
}

// Synced is the row that the kind would have in the catalogue.
func (r *KindRule) Synced() SyncedKind {
	at := r.GroupVersionResource()
	return SyncedKind{Group: at.Group, Version: at.Version, Resource: at.Resource, Direction: ToHost, Namespaced: true, HoldsData: r.KeepsData, Verbs: writing()}
}

// Rules returns the rules by which the spec syncs kinds to the host: its own, and those of the
// kinds that it switches on, each in the first of its versions.
func (s *SyncerSpec) Rules() []KindRule {
	rules, _ := s.RulesIn(func(kind *BuiltInKind) (string, error) { return kind.Versions[0], nil })
	return rules
}

// RulesIn are the rules, where version chooses one of the kind's versions. What is shown of the host
// has its version in the spec, and no other one goes there then.
func (s *SyncerSpec) RulesIn(version func(*BuiltInKind) (string, error)) ([]KindRule, error) {
	rules := slices.Clone(s.ToHost.Custom)
	for _, built := range s.BuiltIn() {
		if built.Enabled == nil || !*built.Enabled {
			continue
		}
		group, chosen := built.Rule.GroupVersionResource().Group, ""
		for i := range s.FromHost.Custom {
			if shown := s.FromHost.Custom[i].Rule(); shown.Definition() == built.Rule.Definition() {
				chosen = shown.GroupVersionResource().Version
			}
		}
		if !slices.Contains(built.Versions, chosen) {
			var err error
			if chosen, err = version(&built); err != nil {
				return nil, err
			}
		}
		built.Rule.APIVersion = group + "/" + chosen
		rules = append(rules, built.Rule)
	}
	return rules, nil
}

// RuleArgs are the arguments of a syncer that works by the rules.
func RuleArgs(rules []KindRule) ([]string, error) {
	var args []string
	for i := range rules {
		text, err := json.Marshal(&rules[i])
		if err != nil {
			return nil, fmt.Errorf("rule of %s: %w", rules[i].Definition(), err)
		}
		args = append(args, "--"+FlagSyncByRule+"="+string(text))
	}
	return args, nil
}

// ParseRule reads a rule from an argument's value.
func ParseRule(text string) (KindRule, error) {
	var rule KindRule
	err := json.Unmarshal([]byte(text), &rule)
	return rule, err
}

// RulesByArgs are those that a syncer with the arguments works by.
func RulesByArgs(args []string) ([]KindRule, error) {
	var rules []KindRule
	for _, arg := range args {
		text, is := strings.CutPrefix(arg, "--"+FlagSyncByRule+"=")
		if !is {
			continue
		}
		rule, err := ParseRule(text)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", FlagSyncByRule, err)
		}
		rules = append(rules, rule)
	}
	return rules, nil
}
