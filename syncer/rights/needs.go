// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// Need is one verb on one resource of the host.
type Need struct {
	Group, Resource, Subresource, Verb string
	// Name, when set, is the one object that it is about.
	Name string
	// For is the switch that needs it; empty for what a syncer always does, and for the kinds.
	For string
	// Namespace, when set, is another one than the host namespace.
	Namespace string
	// Everywhere says that it is about all of the host cluster, OfNodes that RoleHostNodes has it.
	Everywhere, OfNodes bool
}

// Shown are the kinds of which objects of the host are shown, to a syncer of the host namespace.
type Shown struct {
	Namespace string
	Kinds     []tenancyv1.KindFromHost
}

// NeedsOf are those of a syncer of the named virtual cluster, given for each kind of the
// catalogue whether it is synced, whether the host's nodes are shown, what is shown by name,
// the kinds with a rule, and those of which objects are shown.
func NeedsOf(virtualCluster string, synced map[string]bool, nodes bool, mappings []tenancyv1.HostMapping, ruled []tenancyv1.KindRule, shown Shown) []Need {
	rules := append(append(tenancyv1.SyncerRules(synced, ruled...), tenancyv1.MappingRules(mappings)...),
		rbacv1.PolicyRule{APIGroups: []string{tenancyv1.GroupName}, Resources: []string{"virtualclusters"}, ResourceNames: []string{virtualCluster}, Verbs: []string{"get", "list", "watch"}},
		rbacv1.PolicyRule{APIGroups: []string{tenancyv1.GroupName}, Resources: []string{"virtualclusters/status"}, ResourceNames: []string{virtualCluster}, Verbs: []string{"get", "patch"}})
	elsewhere := tenancyv1.ShownRules(shown.Kinds)
	rules = append(rules, elsewhere[shown.Namespace]...)
	delete(elsewhere, shown.Namespace)
	needs := needsBy(rules, Need{})
	for _, namespace := range slices.Sorted(maps.Keys(elsewhere)) {
		needs = append(needs, needsBy(elsewhere[namespace], Need{Namespace: namespace, For: "spec.syncer.fromHost.custom"})...)
	}
	for _, kind := range tenancyv1.Catalogue() {
		if !synced[kind.Name()] || !kind.Everywhere() || kind.OfNodes() {
			continue
		}
		field := map[tenancyv1.Direction]string{tenancyv1.FromHost: "spec.syncer.fromHost", tenancyv1.ToHost: "spec.syncer.toHost"}[kind.Direction]
		for _, verb := range slices.Sorted(slices.Values(kind.Verbs)) {
			need := Need{Group: kind.Group, Resource: kind.Resource, Verb: verb, For: field, Everywhere: true}
			if at := slices.IndexFunc(needs, func(known Need) bool { known.For = field; return known == need }); at >= 0 {
				// Shown of the host, and written there, too.
				continue
			}
			needs = append(needs, need)
		}
	}
	needs = append(needs, needsBy(tenancyv1.SyncerNodeRules(synced), Need{For: "spec.syncer.fromHost", Everywhere: true, OfNodes: true})...)
	if len(ruled)+len(shown.Kinds)+len(tenancyv1.DefinedKinds(synced)) > 0 {
		needs = append(needs, Need{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions", Verb: "get", For: "a kind of a CustomResourceDefinition in spec.syncer", Everywhere: true})
	}
	if nodes {
		for _, verb := range []string{"list", "watch"} {
			needs = append(needs, Need{Resource: "nodes", Verb: verb, For: "--" + tenancyv1.FlagNodesFromHost, Everywhere: true, OfNodes: true})
		}
	}
	return needs
}

// needsBy are the rights that the rules give, each like the one given.
func needsBy(rules []rbacv1.PolicyRule, like Need) []Need {
	var needs []Need
	for _, rule := range rules {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				need := like
				need.Group, need.Verb = rule.APIGroups[0], verb
				need.Resource, need.Subresource, _ = strings.Cut(resource, "/")
				if len(rule.ResourceNames) == 0 {
					needs = append(needs, need)
				}
				for _, need.Name = range rule.ResourceNames {
					needs = append(needs, need)
				}
			}
		}
	}
	return needs
}

// resource is the resource as rules name it.
func (n Need) resource() string {
	if n.Subresource == "" {
		return n.Resource
	}
	return n.Resource + "/" + n.Subresource
}

// shownBy says whether one of the rules, which hold in a namespace, gives the right. It
// says nothing of what is needed everywhere.
func (n Need) shownBy(rules []authorizationv1.ResourceRule) bool {
	return !n.Everywhere && n.Namespace == "" && slices.ContainsFunc(rules, func(rule authorizationv1.ResourceRule) bool {
		return hasOrAll(rule.Verbs, n.Verb) && hasOrAll(rule.APIGroups, n.Group) && hasOrAll(rule.Resources, n.resource()) &&
			(len(rule.ResourceNames) == 0 || n.Name != "" && slices.Contains(rule.ResourceNames, n.Name))
	})
}

func hasOrAll(list []string, one string) bool {
	return slices.Contains(list, one) || slices.Contains(list, rbacv1.VerbAll)
}

// described is one phrase for all verbs on a resource.
type described struct{ resource, why string }

// Describe says what is missing, and who can grant it to the syncer's account.
func Describe(missing []Need, namespace, account string) string {
	verbs := map[described][]string{}
	everywhere, here, nodes := false, false, false
	for _, need := range missing {
		what := described{resource: need.resource()}
		if need.Group != "" {
			what.resource += "." + need.Group
		}
		if need.For != "" {
			what.why = ", which " + need.For + " needs"
		}
		if need.Namespace != "" {
			what.resource += " of the namespace " + need.Namespace
		}
		if need.Everywhere {
			what.resource += " of the whole host cluster"
		}
		nodes = nodes || need.OfNodes
		everywhere, here = everywhere || need.Everywhere, here || !need.Everywhere
		verbs[what] = append(verbs[what], need.Verb)
	}
	var phrases []string
	for what, verbs := range verbs {
		slices.Sort(verbs)
		phrases = append(phrases, fmt.Sprintf("%s %s%s", strings.Join(verbs, ", "), what.resource, what.why))
	}
	slices.Sort(phrases)
	text := fmt.Sprintf("the syncer's ServiceAccount %s/%s may not %s.", namespace, account, strings.Join(phrases, "; "))
	if everywhere {
		text += " An administrator of the host cluster can grant it with a ClusterRole and a ClusterRoleBinding; or switch off what needs it."
		if nodes {
			text += fmt.Sprintf(" For nodes, and what tells of them, that is: kubectl create clusterrolebinding %[1]s-%[2]s-nodes --clusterrole=%[3]s --serviceaccount=%[1]s:%[2]s.", namespace, account, tenancyv1.RoleHostNodes)
		}
	}
	if here {
		text += fmt.Sprintf(" garret-controller grants it by the Role %s of the namespace, out of its own rights: an administrator of the host cluster can find out why it does not.", account)
	}
	return text
}

func compare(a, b Need) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.resource(), b.resource()), cmp.Compare(a.Verb, b.Verb))
}
