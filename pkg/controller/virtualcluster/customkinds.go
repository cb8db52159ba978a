// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// Reasons of the condition CustomKindsAllowed.
const (
	reasonAllowed     = "Allowed"
	reasonNotOpened   = "NotOpened"
	reasonNotLent     = "DefinitionsNotLent"
	reasonNoNamespace = "NoNamespace"
	// reasonNoRule is of the condition CustomKindsKept.
	reasonNoRule = "NoRule"
)

// customKinds are the kinds with a rule, as a pass finds them.
type customKinds struct {
	// allowed are the rules by which the syncer works.
	allowed []tenancyv1.KindRule
	// shown are the kinds of which the syncer shows objects of the host, with every namespace.
	shown []tenancyv1.KindFromHost
	// definitions says that the syncer may read definitions of kinds.
	definitions bool
	// known are the kinds of which something may be on the host, as in the status.
	known []string
	// withData are those of the known whose objects hold data.
	withData []string
	// ruled are the kinds that the spec has a rule about, allowed or not, as RESOURCE.GROUP.
	ruled []string
	// closed are those of the known that the administrator does not open any more.
	closed []string
	// condition is nil where there are no such kinds.
	condition *metav1.Condition
	// kept is about what holds data and has no rule any more; nil where there is nothing of that.
	kept *metav1.Condition
}

// knownKinds are those of the status, and those that a pass of a moment ago wrote there.
func (m *memory) knownKinds(vc *tenancyv1.VirtualCluster) []string {
	m.Lock()
	defer m.Unlock()
	return union(vc.Status.CustomKinds, m.kinds)
}

// kindsWithData are those of the known kinds that hold data, by what was written last.
func (m *memory) kindsWithData(vc *tenancyv1.VirtualCluster) []string {
	m.Lock()
	defer m.Unlock()
	return union(vc.Status.CustomKindsWithData, m.kindsHoldingData)
}

func union(lists ...[]string) []string {
	all := slices.Concat(lists...)
	slices.Sort(all)
	return slices.Compact(all)
}

// customKinds tells which rules of the spec the syncer may work by. Garret lends it the
// rights on a kind, and has them where the host's administrator opened the kind.
func (c *Controller) customKinds(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory) (customKinds, error) {
	kinds := customKinds{known: m.knownKinds(vc), condition: meta.FindStatusCondition(vc.Status.Conditions, tenancyv1.ConditionCustomKindsAllowed)}
	opened, err := c.opened()
	if err != nil {
		return kinds, err
	}
	var refused []string
	refuse := func(kind tenancyv1.SyncedKind, what string) {
		refused = append(refused, fmt.Sprintf("%s.%s %s: an administrator of the host opens the kind by a ClusterRole with the label %s=true and the rule {apiGroups: [%s], resources: [%s], verbs: [%s]}",
			kind.Resource, kind.Group, what, tenancyv1.LabelAggregateToCustomKinds, kind.Group, kind.Resource, strings.Join(kind.Verbs, ", ")))
	}
	rules, err := vc.Spec.Syncer.RulesIn(c.servedVersion)
	if err != nil {
		return kinds, err
	}
	for i := range rules {
		kinds.ruled = append(kinds.ruled, rules[i].Definition())
		if kind := rules[i].Synced(); opens(opened, kind) {
			kinds.allowed = append(kinds.allowed, rules[i])
		} else {
			refuse(kind, "is not open to virtual clusters")
		}
	}
	shown := vc.Spec.Syncer.FromHost.Custom
	for i := range shown {
		if kind := shown[i].Synced(); opens(opened, kind) {
			kinds.shown = append(kinds.shown, shown[i].In(vc.Namespace))
		} else {
			refuse(kind, "is not open to virtual clusters for reading")
		}
	}
	reason := reasonNotOpened
	synced, err := tenancyv1.SelectByArgs(vc.Spec.Syncer.Args())
	if err != nil {
		return kinds, &trouble{Reason: reasonInvalidSpec, Message: "spec.syncer: " + err.Error(), final: true}
	}
	classes := len(tenancyv1.DefinedKinds(synced))
	wanted := len(kinds.allowed)+len(kinds.shown)+classes > 0
	lent, err := c.lend(ctx, vc, tenancyv1.RoleHostDefinitions, wanted)
	if err != nil {
		return kinds, err
	}
	kinds.definitions = lent
	if wanted && !lent {
		reason, kinds.allowed, kinds.shown = reasonNotLent, nil, nil
		refused = append(refused, fmt.Sprintf("the ClusterRoleBinding %s is missing, which lets syncers read the definitions of kinds: an administrator of the host has to create it again", tenancyv1.RoleHostDefinitions))
	}
	for i := range kinds.allowed {
		kinds.known = union(kinds.known, []string{kinds.allowed[i].CustomKind()})
	}
	for _, name := range kinds.dropped() {
		kind, err := tenancyv1.ParseCustomKind(name)
		if err == nil && !opens(opened, kind) {
			kinds.closed = append(kinds.closed, name)
			if !slices.Contains(kinds.ruled, definitionOf(kind)) {
				refuse(kind, "is not open to virtual clusters any more, and garret-controller cannot delete its objects on the host")
			}
		}
	}
	kinds.judgeData(rules, m.kindsWithData(vc))
	kinds.kept = kinds.keptCondition(vc)
	kinds.condition = allowedCondition(vc, len(rules)+len(shown)+classes > 0, reason, refused)
	return kinds, nil
}

func allowedCondition(vc *tenancyv1.VirtualCluster, ruled bool, reason string, refused []string) *metav1.Condition {
	condition := &metav1.Condition{Type: tenancyv1.ConditionCustomKindsAllowed, ObservedGeneration: vc.Generation,
		Status: metav1.ConditionTrue, Reason: reasonAllowed, Message: "the host's administrator has opened every kind that a rule syncs, and every kind that is shown inside"}
	switch {
	case len(refused) > 0:
		condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, reason, strings.Join(refused, "; ")
	case !ruled:
		return nil
	}
	return condition
}

// opened are the rights that the administrator gave on kinds of CustomResourceDefinitions.
func (c *Controller) opened() ([]rbacv1.PolicyRule, error) {
	role, err := c.watched.opened.Get(tenancyv1.RoleCustomKinds)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ClusterRole %s: %w", tenancyv1.RoleCustomKinds, err)
	}
	return role.Rules, nil
}

// opens tells whether the rules give all rights that a syncer needs on the kind.
func opens(rules []rbacv1.PolicyRule, kind tenancyv1.SyncedKind) bool {
	has := func(list []string, one string) bool {
		return slices.Contains(list, one) || slices.Contains(list, rbacv1.VerbAll)
	}
	return !slices.ContainsFunc(kind.Verbs, func(verb string) bool {
		return !slices.ContainsFunc(rules, func(rule rbacv1.PolicyRule) bool {
			return has(rule.Verbs, verb) && has(rule.APIGroups, kind.Group) && has(rule.Resources, kind.Resource) && len(rule.ResourceNames) == 0
		})
	})
}

func definitionOf(kind tenancyv1.SyncedKind) string { return kind.Resource + "." + kind.Group }

// judgeData finds out which known kinds hold data. Its rule says so of a kind that has one. The
// last rule counts for any other: that a rule is gone is no reason to delete data.
func (k *customKinds) judgeData(rules []tenancyv1.KindRule, before []string) {
	for _, name := range k.known {
		kind, err := tenancyv1.ParseCustomKind(name)
		if err != nil {
			continue
		}
		at := slices.IndexFunc(rules, func(r tenancyv1.KindRule) bool { return r.Definition() == definitionOf(kind) })
		if at >= 0 && rules[at].KeepsData || at < 0 && slices.Contains(before, name) {
			k.withData = append(k.withData, name)
		}
	}
}

// unruledData are the known kinds that hold data and have no rule any more.
func (k *customKinds) unruledData() []string {
	return slices.DeleteFunc(slices.Clone(k.withData), func(name string) bool {
		kind, err := tenancyv1.ParseCustomKind(name)
		return err != nil || slices.Contains(k.ruled, definitionOf(kind))
	})
}

// releaseArgs have the syncer let the objects inside of such kinds go.
func (k *customKinds) releaseArgs() []string {
	var args []string
	for _, name := range k.unruledData() {
		args = append(args, "--"+tenancyv1.FlagReleaseKind+"="+name)
	}
	return args
}

func (k *customKinds) keptCondition(vc *tenancyv1.VirtualCluster) *metav1.Condition {
	names := k.unruledData()
	if len(names) == 0 {
		return nil
	}
	return &metav1.Condition{Type: tenancyv1.ConditionCustomKindsKept, ObservedGeneration: vc.Generation, Status: metav1.ConditionTrue, Reason: reasonNoRule,
		Message: fmt.Sprintf("no rule syncs %s any more. Its objects on the host hold data, so garret-controller keeps them. A rule for the kind adopts them again; garret list --orphans -n %s lists what you can delete by hand",
			strings.Join(names, ", "), vc.Namespace)}
}

// dropped are the known kinds that the syncer has no rule about any more.
func (k *customKinds) dropped() []string {
	return slices.DeleteFunc(slices.Clone(k.known), func(name string) bool {
		kind, err := tenancyv1.ParseCustomKind(name)
		return err != nil || slices.ContainsFunc(k.allowed, func(rule tenancyv1.KindRule) bool { return rule.Definition() == definitionOf(kind) })
	})
}

// clearable are the kinds without a rule whose objects the controller may delete, or mark where
// they hold data. One whose rule only cannot be followed now is left alone.
func (k *customKinds) clearable() []tenancyv1.SyncedKind {
	var kinds []tenancyv1.SyncedKind
	for _, name := range k.dropped() {
		if kind, err := tenancyv1.ParseCustomKind(name); err == nil && !slices.Contains(k.closed, name) && !slices.Contains(k.ruled, definitionOf(kind)) {
			kind.HoldsData = slices.Contains(k.withData, name)
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// current are the known kinds without those that are cleared away: objects of the kept ones
// are on the host still.
func (k *customKinds) current(kept []string) []string {
	current := union(k.closed, kept)
	for i := range k.allowed {
		current = append(current, k.allowed[i].CustomKind())
	}
	for _, name := range k.known {
		kind, err := tenancyv1.ParseCustomKind(name)
		allowed := slices.ContainsFunc(k.allowed, func(rule tenancyv1.KindRule) bool { return err == nil && rule.Definition() == definitionOf(kind) })
		if err == nil && !allowed && slices.Contains(k.ruled, definitionOf(kind)) {
			current = append(current, name)
		}
	}
	return union(current)
}

// record writes the kinds into the status before the syncer has rights on them: whatever
// happens then, their objects are found again.
func (c *Controller) record(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory, kinds, withData []string) error {
	m.Lock()
	recorded := slices.Equal(m.kinds, kinds) && slices.Equal(m.kindsHoldingData, withData)
	m.Unlock()
	if recorded || slices.Equal(vc.Status.CustomKinds, kinds) && slices.Equal(vc.Status.CustomKindsWithData, withData) {
		return nil
	}
	want := vc.Status.DeepCopy()
	want.CustomKinds, want.CustomKindsWithData = kinds, withData
	if err := c.applyStatus(ctx, vc, want); err != nil {
		return fmt.Errorf("status.customKinds: %w", err)
	}
	m.Lock()
	defer m.Unlock()
	m.kinds, m.kindsHoldingData = kinds, withData
	return nil
}

// forgetKinds leaves those in the status that something may be on the host of. The cache
// may not have yet what this pass wrote into the status, and the API server has.
func (c *Controller) forgetKinds(ctx context.Context, cached *tenancyv1.VirtualCluster, m *memory, kinds, withData []string) error {
	vc, err := c.Tenancy.TenancyV1().VirtualClusters(cached.Namespace).Get(ctx, cached.Name, metav1.GetOptions{})
	if err != nil || vc.UID != cached.UID {
		return ignoreNotFound(err)
	}
	withData = slices.DeleteFunc(slices.Clone(withData), func(name string) bool { return !slices.Contains(kinds, name) })
	want := vc.Status.DeepCopy()
	want.CustomKinds, want.CustomKindsWithData = kinds, withData
	if err := c.applyStatus(ctx, vc, want); err != nil {
		return fmt.Errorf("status.customKinds: %w", err)
	}
	m.Lock()
	defer m.Unlock()
	m.kinds, m.kindsHoldingData = kinds, withData
	return nil
}

// removeCustom deletes what there is of all kinds with a rule, or marks it as kept, and
// counts what is on its way out.
func (c *Controller) removeCustom(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory, left *leftover) error {
	withData := m.kindsWithData(vc)
	for _, name := range m.knownKinds(vc) {
		kind, err := tenancyv1.ParseCustomKind(name)
		if err != nil {
			continue
		}
		if kind, err = c.served(kind); err != nil {
			return err
		}
		kind.HoldsData = slices.Contains(withData, name)
		n, err := c.removeKind(ctx, vc, m, kind)
		if apierrors.IsForbidden(err) {
			return fmt.Errorf("%w; an administrator of the host has to open %s.%s again by a ClusterRole with the label %s=true: until then, its objects with the label %s=%s stay",
				err, kind.Resource, kind.Group, tenancyv1.LabelAggregateToCustomKinds, tenancyv1.LabelCluster, clusterID(vc))
		}
		if err != nil {
			return err
		}
		left.count("synced "+strings.TrimSuffix(kind.Resource, "s"), n)
	}
	return nil
}

// report writes what the pass found of the kinds into a status.
func (k *customKinds) report(status *tenancyv1.VirtualClusterStatus, now metav1.Time) {
	status.CustomKinds, status.CustomKindsWithData = k.known, k.withData
	told(status, tenancyv1.ConditionCustomKindsAllowed, k.condition, now)
	told(status, tenancyv1.ConditionCustomKindsKept, k.kept, now)
}

// told writes a condition into a status, or takes it away where there is none.
func told(status *tenancyv1.VirtualClusterStatus, kind string, found *metav1.Condition, now metav1.Time) {
	if found == nil {
		meta.RemoveStatusCondition(&status.Conditions, kind)
		return
	}
	condition := *found
	condition.LastTransitionTime = now
	if len(condition.Message) > maxMessage {
		condition.Message = strings.ToValidUTF8(condition.Message[:maxMessage], "")
	}
	meta.SetStatusCondition(&status.Conditions, condition)
}
