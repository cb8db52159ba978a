// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"fmt"
	"maps"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// readerName names the Role by which the syncer of a virtual cluster reads in another namespace
// what it shows inside, and the RoleBinding. The id is the virtual cluster's alone.
func readerName(vc *tenancyv1.VirtualCluster) string { return "garret-reader-" + clusterID(vc) }

// readers gives the syncer the rights to read what it shows of other namespaces of the host, and
// takes those back that it has no use for. A kind stays away of which a namespace is not there.
func (c *Controller) readers(ctx context.Context, vc *tenancyv1.VirtualCluster, kinds *customKinds) error {
	wanted := tenancyv1.ShownRules(kinds.shown)
	delete(wanted, vc.Namespace)
	for _, namespace := range slices.Sorted(maps.Keys(wanted)) {
		space, err := c.watched.namespaces.Get(namespace)
		if apierrors.IsNotFound(err) || err == nil && space.DeletionTimestamp != nil {
			kinds.without(vc, namespace)
			delete(wanted, namespace)
			continue
		}
		if err != nil {
			return err
		}
		if err := c.reader(ctx, vc, namespace, wanted[namespace]); err != nil {
			return fmt.Errorf("reading in namespace %s: %w", namespace, err)
		}
	}
	return c.endReaders(ctx, vc, wanted)
}

// without leaves out what is shown of a namespace that is not there.
func (k *customKinds) without(vc *tenancyv1.VirtualCluster, namespace string) {
	for i := range k.shown {
		k.shown[i].Mappings = slices.DeleteFunc(slices.Clone(k.shown[i].Mappings), func(m tenancyv1.CustomMapping) bool { return m.From.Namespace == namespace })
	}
	k.shown = slices.DeleteFunc(k.shown, func(kind tenancyv1.KindFromHost) bool { return len(kind.Mappings) == 0 })
	message := fmt.Sprintf("the namespace %s does not exist on the host, so nothing of it is shown inside", namespace)
	if k.condition != nil && k.condition.Status == metav1.ConditionFalse {
		k.condition.Message += "; " + message
		return
	}
	k.condition = &metav1.Condition{Type: tenancyv1.ConditionCustomKindsAllowed, ObservedGeneration: vc.Generation,
		Status: metav1.ConditionFalse, Reason: reasonNoNamespace, Message: message}
}

// reader makes the Role in the namespace, and its binding, where they are not as they should be.
func (c *Controller) reader(ctx context.Context, vc *tenancyv1.VirtualCluster, namespace string, rules []rbacv1.PolicyRule) error {
	meta := metav1.ObjectMeta{Name: readerName(vc), Namespace: namespace, Labels: map[string]string{
		tenancyv1.LabelVirtualCluster: vc.Name, tenancyv1.LabelCluster: clusterID(vc)}}
	role := &rbacv1.Role{ObjectMeta: meta, Rules: rules}
	binding := &rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: vc.Namespace, Name: tenancyv1.ReleaseName(vc.Name)}}}
	if c.hasReader(role, binding) {
		return nil
	}
	roles, bindings := c.Host.RbacV1().Roles(namespace), c.Host.RbacV1().RoleBindings(namespace)
	foundRole, err := roles.Get(ctx, role.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		_, err = roles.Create(ctx, role, metav1.CreateOptions{FieldManager: tenancyv1.FieldManagerController})
	case err == nil && (!equality.Semantic.DeepEqual(foundRole.Rules, rules) || !equality.Semantic.DeepEqual(foundRole.Labels, meta.Labels)):
		role.ResourceVersion = foundRole.ResourceVersion
		_, err = roles.Update(ctx, role, metav1.UpdateOptions{FieldManager: tenancyv1.FieldManagerController})
	}
	if err != nil {
		return fmt.Errorf("role: %w", err)
	}
	foundBinding, err := bindings.Get(ctx, binding.Name, metav1.GetOptions{})
	if err == nil && !equality.Semantic.DeepEqual(foundBinding.RoleRef, binding.RoleRef) {
		// What a binding is for cannot be changed.
		if err := ignoreNotFound(bindings.Delete(ctx, binding.Name, metav1.DeleteOptions{})); err != nil {
			return fmt.Errorf("role binding: %w", err)
		}
		err = apierrors.NewNotFound(rbacv1.Resource("rolebindings"), binding.Name)
	}
	switch {
	case apierrors.IsNotFound(err):
		_, err = bindings.Create(ctx, binding, metav1.CreateOptions{FieldManager: tenancyv1.FieldManagerController})
	case err == nil && (!equality.Semantic.DeepEqual(foundBinding.Subjects, binding.Subjects) || !equality.Semantic.DeepEqual(foundBinding.Labels, meta.Labels)):
		binding.ResourceVersion = foundBinding.ResourceVersion
		_, err = bindings.Update(ctx, binding, metav1.UpdateOptions{FieldManager: tenancyv1.FieldManagerController})
	}
	if err != nil {
		return fmt.Errorf("role binding: %w", err)
	}
	return nil
}

// hasReader says whether the caches have the Role and its binding as they should be.
func (c *Controller) hasReader(role *rbacv1.Role, binding *rbacv1.RoleBinding) bool {
	foundRole, err := c.watched.roles.Roles(role.Namespace).Get(role.Name)
	if err != nil || !equality.Semantic.DeepEqual(foundRole.Rules, role.Rules) || !equality.Semantic.DeepEqual(foundRole.Labels, role.Labels) {
		return false
	}
	found, err := c.watched.bindings.RoleBindings(binding.Namespace).Get(binding.Name)
	return err == nil && equality.Semantic.DeepEqual(found.RoleRef, binding.RoleRef) &&
		equality.Semantic.DeepEqual(found.Subjects, binding.Subjects) && equality.Semantic.DeepEqual(found.Labels, binding.Labels)
}

// endReaders deletes the Roles and bindings of namespaces that are not wanted. The label of one
// that somebody else made leads to that one alone.
func (c *Controller) endReaders(ctx context.Context, vc *tenancyv1.VirtualCluster, wanted map[string][]rbacv1.PolicyRule) error {
	own := labels.SelectorFromSet(labels.Set{tenancyv1.LabelCluster: clusterID(vc), tenancyv1.LabelVirtualCluster: vc.Name})
	bindings, err := c.watched.bindings.List(own)
	if err != nil {
		return err
	}
	roles, err := c.watched.roles.List(own)
	if err != nil {
		return err
	}
	for _, namespace := range mappedNamespaces(vc) {
		// The caches may not have yet what was made a moment ago.
		bindings = append(bindings, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: readerName(vc)}})
		roles = append(roles, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: readerName(vc)}})
	}
	// Of the two, the binding gives the rights.
	for _, binding := range bindings {
		if _, stays := wanted[binding.Namespace]; !stays && binding.Name == readerName(vc) {
			if err := ignoreNotFound(c.Host.RbacV1().RoleBindings(binding.Namespace).Delete(ctx, binding.Name, metav1.DeleteOptions{})); err != nil {
				return fmt.Errorf("role binding in namespace %s: %w", binding.Namespace, err)
			}
		}
	}
	for _, role := range roles {
		if _, stays := wanted[role.Namespace]; !stays && role.Name == readerName(vc) {
			if err := ignoreNotFound(c.Host.RbacV1().Roles(role.Namespace).Delete(ctx, role.Name, metav1.DeleteOptions{})); err != nil {
				return fmt.Errorf("role in namespace %s: %w", role.Namespace, err)
			}
		}
	}
	return nil
}

// mappedNamespaces are the other namespaces of the host that the spec of a virtual cluster on its
// way out names.
func mappedNamespaces(vc *tenancyv1.VirtualCluster) []string {
	if vc.DeletionTimestamp == nil {
		return nil
	}
	var namespaces []string
	for i := range vc.Spec.Syncer.FromHost.Custom {
		for _, mapping := range vc.Spec.Syncer.FromHost.Custom[i].Mappings {
			if from := mapping.From.Namespace; from != "" && from != vc.Namespace && !slices.Contains(namespaces, from) {
				namespaces = append(namespaces, from)
			}
		}
	}
	return namespaces
}
