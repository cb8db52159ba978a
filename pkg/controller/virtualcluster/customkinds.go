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
	reasonAllowed   = "Allowed"
	reasonNotOpened = "NotOpened"
	reasonNotLent   = "DefinitionsNotLent"
)

// customKinds are the kinds with a rule, as a pass finds them.
type customKinds struct {
	// allowed are the rules by which the syncer works.
	allowed []tenancyv1.KindRule
	// known are the kinds of which something may be on the host, as in the status.
	known []string
	// closed are those of the known that the administrator does not open any more.
	closed []string
	// condition is nil where there are no such kinds.
	condition *metav1.Condition
}

// knownKinds are those of the status, and those that a pass of a moment ago wrote there.
func (m *memory) knownKinds(vc *tenancyv1.VirtualCluster) []string {
	m.Lock()
	defer m.Unlock()
	return union(vc.Status.CustomKinds, m.kinds)
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
	rules := vc.Spec.Syncer.ToHost.Custom
	for i := range rules {
		if kind := rules[i].Synced(); opens(opened, kind) {
			kinds.allowed = append(kinds.allowed, rules[i])
		} else {
			refuse(kind, "is not open to virtual clusters")
		}
	}
	reason := reasonNotOpened
	lent, err := c.lend(ctx, vc, tenancyv1.RoleHostDefinitions, len(kinds.allowed) > 0)
	if err != nil {
		return kinds, err
	}
	if len(kinds.allowed) > 0 && !lent {
		reason, kinds.allowed = reasonNotLent, nil
		refused = append(refused, fmt.Sprintf("there is no ClusterRoleBinding %s, by which syncers read the definitions of kinds: an administrator of the host has to create it again", tenancyv1.RoleHostDefinitions))
	}
	for i := range kinds.allowed {
		kinds.known = union(kinds.known, []string{kinds.allowed[i].CustomKind()})
	}
	for _, name := range kinds.dropped() {
		kind, err := tenancyv1.ParseCustomKind(name)
		if err == nil && !opens(opened, kind) {
			kinds.closed = append(kinds.closed, name)
			if !slices.ContainsFunc(rules, func(r tenancyv1.KindRule) bool { return r.Definition() == kind.Resource+"."+kind.Group }) {
				refuse(kind, "is not open any more, and what is left of it on the host cannot be deleted")
			}
		}
	}
	kinds.condition = allowedCondition(vc, len(rules) > 0, reason, refused)
	return kinds, nil
}

func allowedCondition(vc *tenancyv1.VirtualCluster, ruled bool, reason string, refused []string) *metav1.Condition {
	condition := &metav1.Condition{Type: tenancyv1.ConditionCustomKindsAllowed, ObservedGeneration: vc.Generation,
		Status: metav1.ConditionTrue, Reason: reasonAllowed, Message: "the host's administrator opens every kind with a rule"}
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

// dropped are the known kinds that no rule is about any more.
func (k *customKinds) dropped() []string {
	return slices.DeleteFunc(slices.Clone(k.known), func(name string) bool {
		kind, err := tenancyv1.ParseCustomKind(name)
		return err != nil || slices.ContainsFunc(k.allowed, func(rule tenancyv1.KindRule) bool { return rule.Definition() == kind.Resource+"."+kind.Group })
	})
}

// clearable are the dropped kinds whose objects the controller may delete.
func (k *customKinds) clearable() []tenancyv1.SyncedKind {
	var kinds []tenancyv1.SyncedKind
	for _, name := range k.dropped() {
		if kind, err := tenancyv1.ParseCustomKind(name); err == nil && !slices.Contains(k.closed, name) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// current are the known kinds without those that are cleared away.
func (k *customKinds) current() []string {
	var current []string
	for i := range k.allowed {
		current = append(current, k.allowed[i].CustomKind())
	}
	return union(current, k.closed)
}

// record writes the kinds into the status before the syncer has rights on them: whatever
// happens then, their objects are found again.
func (c *Controller) record(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory, kinds []string) error {
	m.Lock()
	recorded := slices.Equal(m.kinds, kinds)
	m.Unlock()
	if recorded || slices.Equal(vc.Status.CustomKinds, kinds) {
		return nil
	}
	want := vc.Status.DeepCopy()
	want.CustomKinds = kinds
	if err := c.applyStatus(ctx, vc, want); err != nil {
		return fmt.Errorf("status.customKinds: %w", err)
	}
	m.Lock()
	defer m.Unlock()
	m.kinds = kinds
	return nil
}

// forgetKinds leaves those in the status that something may be on the host of. The cache
// may not have yet what this pass wrote into the status, and the API server has.
func (c *Controller) forgetKinds(ctx context.Context, cached *tenancyv1.VirtualCluster, m *memory, kinds []string) error {
	vc, err := c.Tenancy.TenancyV1().VirtualClusters(cached.Namespace).Get(ctx, cached.Name, metav1.GetOptions{})
	if err != nil || vc.UID != cached.UID {
		return ignoreNotFound(err)
	}
	want := vc.Status.DeepCopy()
	want.CustomKinds = kinds
	if err := c.applyStatus(ctx, vc, want); err != nil {
		return fmt.Errorf("status.customKinds: %w", err)
	}
	m.Lock()
	defer m.Unlock()
	m.kinds = kinds
	return nil
}

// removeCustom deletes what there is of all kinds with a rule, and counts it.
func (c *Controller) removeCustom(ctx context.Context, vc *tenancyv1.VirtualCluster, m *memory, left *leftover) error {
	for _, name := range m.knownKinds(vc) {
		kind, err := tenancyv1.ParseCustomKind(name)
		if err != nil {
			continue
		}
		n, err := c.removeKind(ctx, vc, m, kind)
		if apierrors.IsForbidden(err) {
			return fmt.Errorf("%w; until an administrator of the host opens %s.%s again by a ClusterRole with the label %s=true, its objects with the label %s=%s stay",
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
	status.CustomKinds = k.known
	if k.condition == nil {
		meta.RemoveStatusCondition(&status.Conditions, tenancyv1.ConditionCustomKindsAllowed)
		return
	}
	condition := *k.condition
	condition.LastTransitionTime = now
	if len(condition.Message) > maxMessage {
		condition.Message = strings.ToValidUTF8(condition.Message[:maxMessage], "")
	}
	meta.SetStatusCondition(&status.Conditions, condition)
}
