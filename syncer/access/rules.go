// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validation/path"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// wanted are the bindings that rules ask for, by name. Rules about the same
// ClusterRole share one, so that a change of who has it never takes it from
// those who keep it.
func wanted(rules []tenancyv1.AccessRule) map[string]*rbacv1.ClusterRoleBinding {
	bindings := map[string]*rbacv1.ClusterRoleBinding{}
	for _, rule := range rules {
		// Validation outside has refused such names; inside they are left out,
		// rather than keep the rest from taking effect.
		if rule.ClusterRole == "" || len(path.IsValidPathSegmentName(rule.ClusterRole)) > 0 {
			continue
		}
		name := tenancyv1.AccessPrefix + rule.ClusterRole
		binding := bindings[name]
		if binding == nil {
			binding = &rbacv1.ClusterRoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{tenancyv1.LabelAccess: tenancyv1.AccessRuled}},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: rule.ClusterRole},
			}
			bindings[name] = binding
		}
		binding.Subjects = append(binding.Subjects, subjects(rbacv1.UserKind, rule.Users)...)
		binding.Subjects = append(binding.Subjects, subjects(rbacv1.GroupKind, rule.Groups)...)
	}
	for _, binding := range bindings {
		slices.SortFunc(binding.Subjects, func(a, b rbacv1.Subject) int {
			return strings.Compare(a.Kind+"/"+a.Name, b.Kind+"/"+b.Name)
		})
		binding.Subjects = slices.Compact(binding.Subjects)
	}
	return bindings
}

// subjects are people of the host as they are called inside.
func subjects(kind string, names []string) []rbacv1.Subject {
	var found []rbacv1.Subject
	for _, name := range names {
		if name != "" {
			found = append(found, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: kind, Name: tenancyv1.HostUserPrefix + name})
		}
	}
	return found
}

// bindings makes, changes and removes ClusterRoleBindings inside.
type bindings struct {
	virtual kubernetes.Interface
}

// ensure puts one in place as it is wanted.
func (b *bindings) ensure(ctx context.Context, want *rbacv1.ClusterRoleBinding) error {
	client := b.virtual.RbacV1().ClusterRoleBindings()
	have, err := client.Get(ctx, want.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return b.create(ctx, want)
	}
	if err != nil {
		return fmt.Errorf("read ClusterRoleBinding %s: %w", want.Name, err)
	}
	if have.RoleRef != want.RoleRef {
		// A binding's role cannot be changed: it was made by somebody else.
		if err := b.remove(ctx, have.Name, have.UID); err != nil {
			return err
		}
		return b.create(ctx, want)
	}
	if equality.Semantic.DeepEqual(have.Subjects, want.Subjects) && have.Labels[tenancyv1.LabelAccess] == tenancyv1.AccessRuled {
		return nil
	}
	changed := have.DeepCopy()
	changed.Subjects = want.Subjects
	if changed.Labels == nil {
		changed.Labels = map[string]string{}
	}
	maps.Copy(changed.Labels, want.Labels)
	if _, err := client.Update(ctx, changed, metav1.UpdateOptions{FieldManager: tenancyv1.FieldManagerSyncer}); err != nil {
		return fmt.Errorf("update ClusterRoleBinding %s: %w", want.Name, err)
	}
	klog.FromContext(ctx).Info("Changed who has a role", "clusterRole", want.RoleRef.Name, "subjects", len(want.Subjects))
	return nil
}

func (b *bindings) create(ctx context.Context, want *rbacv1.ClusterRoleBinding) error {
	if _, err := b.virtual.RbacV1().ClusterRoleBindings().Create(ctx, want, metav1.CreateOptions{FieldManager: tenancyv1.FieldManagerSyncer}); err != nil {
		return fmt.Errorf("create ClusterRoleBinding %s: %w", want.Name, err)
	}
	klog.FromContext(ctx).Info("Gave a role to users of the host", "clusterRole", want.RoleRef.Name, "subjects", len(want.Subjects))
	return nil
}

// remove deletes the very object that was looked at.
func (b *bindings) remove(ctx context.Context, name string, uid types.UID) error {
	options := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}
	err := b.virtual.RbacV1().ClusterRoleBindings().Delete(ctx, name, options)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete ClusterRoleBinding %s: %w", name, err)
	}
	klog.FromContext(ctx).Info("Removed a binding", "binding", name)
	return nil
}
