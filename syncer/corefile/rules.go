// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package corefile

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// answerTTL is how long an answer by a rule may be kept, in seconds.
const answerTTL = 30

// Rules are the rules of the VirtualCluster as part of a Corefile. Whole names come before
// those that stand for many, and longer ones first: the first that matches is the one that counts.
// They are not known while the status says nothing about a Service.
func Rules(cluster *tenancyv1.VirtualCluster) (string, bool) {
	found := map[string][]string{}
	for i := range cluster.Status.Services {
		service := &cluster.Status.Services[i]
		found[service.From.In(cluster.Namespace).String()] = service.ClusterIPs
	}
	rules := slices.Clone(cluster.Spec.DNS.Resolve)
	slices.SortStableFunc(rules, func(a, b tenancyv1.ResolveRule) int {
		wildA, wildB := strings.HasPrefix(a.Name, "*"), strings.HasPrefix(b.Name, "*")
		switch {
		case wildA != wildB && wildA:
			return 1
		case wildA != wildB:
			return -1
		}
		return cmp.Compare(len(b.Name), len(a.Name))
	})
	var text strings.Builder
	for i := range rules {
		rule, addresses := &rules[i], rules[i].Addresses
		if rule.Service != nil {
			known := false
			if addresses, known = found[rule.Service.In(cluster.Namespace).String()]; !known {
				return "", false
			}
		}
		writeRule(&text, rule, addresses)
	}
	return text.String(), true
}

// writeRule answers for one name. What it has no record of gets an empty answer, so that
// nobody outside is asked for the name. A Service that has no address answers so, too.
func writeRule(text *strings.Builder, rule *tenancyv1.ResolveRule, addresses []string) {
	zone := strings.TrimPrefix(rule.Name, "*.")
	quoted := strings.ReplaceAll(zone, ".", "[.]")
	match := "^" + quoted + "[.]$"
	if zone != rule.Name {
		match = "[.]" + quoted + "[.]$"
	}
	block := func(kind string, records ...string) {
		fmt.Fprintf(text, "template IN %s %s {\n    match \"%s\"\n", kind, zone, match)
		for _, record := range records {
			fmt.Fprintf(text, "    answer \"{{ .Name }} %d IN %s\"\n", answerTTL, record)
		}
		text.WriteString("    fallthrough\n}\n")
	}
	if rule.Alias != "" {
		block("ANY", "CNAME "+strings.TrimSuffix(rule.Alias, ".")+".")
		return
	}
	var four, six []string
	for _, each := range addresses {
		if address, err := netip.ParseAddr(each); err == nil && address.Is4() {
			four = append(four, "A "+address.String())
		} else if err == nil {
			six = append(six, "AAAA "+address.String())
		}
	}
	if len(four) > 0 {
		block("A", four...)
	}
	if len(six) > 0 {
		block("AAAA", six...)
	}
	block("ANY")
}
