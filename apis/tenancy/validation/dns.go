// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"net/netip"
	"slices"
	"strings"

	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"garret.dev/garret/apis/tenancy"
)

// resolve judges the names that the DNS inside answers by rules. An alias leads to what
// is no alias itself: the DNS would follow two of them in a circle.
func resolve(rules []tenancy.ResolveRule, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	known := map[string]bool{}
	for i := range rules {
		rule, at := &rules[i], path.Index(i)
		for _, problem := range utilvalidation.IsDNS1123Subdomain(strings.TrimPrefix(rule.Name, "*.")) {
			errs = append(errs, field.Invalid(at.Child("name"), rule.Name, "after *., or without it: "+problem))
		}
		if known[rule.Name] {
			errs = append(errs, field.Duplicate(at.Child("name"), rule.Name))
		}
		known[rule.Name] = true
		errs = append(errs, oneTarget(rule, at)...)
		for j, address := range rule.Addresses {
			if parsed, err := netip.ParseAddr(address); err != nil || parsed.Zone() != "" || parsed.Is4In6() || parsed.IsUnspecified() {
				errs = append(errs, field.Invalid(at.Child("addresses").Index(j), address, "must be an address of IPv4 or IPv6, such as 192.0.2.7"))
			} else if slices.Contains(rule.Addresses[:j], address) {
				errs = append(errs, field.Duplicate(at.Child("addresses").Index(j), address))
			}
		}
		if rule.Alias == "" {
			continue
		}
		for _, problem := range utilvalidation.IsDNS1123Subdomain(rule.Alias) {
			errs = append(errs, field.Invalid(at.Child("alias"), rule.Alias, problem))
		}
		if decides(rules, rule.Alias).Alias != "" {
			errs = append(errs, field.Invalid(at.Child("alias"), rule.Alias, "another rule makes this name an alias: name what it leads to"))
		}
	}
	return errs
}

// oneTarget wants a rule to say one thing.
func oneTarget(rule *tenancy.ResolveRule, path *field.Path) field.ErrorList {
	targets := 0
	for _, set := range []bool{len(rule.Addresses) > 0, rule.Alias != "", rule.Service != nil} {
		if set {
			targets++
		}
	}
	if targets == 1 {
		return nil
	}
	return field.ErrorList{field.Invalid(path, rule.Name, "must have one of addresses, alias and service")}
}

// decides returns the rule that answers for a name: the one of the whole name, or else the
// longest that is about it.
func decides(rules []tenancy.ResolveRule, name string) tenancy.ResolveRule {
	var decision tenancy.ResolveRule
	for _, rule := range rules {
		zone, below := strings.CutPrefix(rule.Name, "*")
		switch {
		case rule.Name == name:
			return rule
		case below && strings.HasSuffix(name, zone) && len(rule.Name) > len(decision.Name):
			decision = rule
		}
	}
	return decision
}
