// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package tenant

import (
	"context"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

// grant gives those who enter the rights that a syncer gives them.
func grant(ctx context.Context, client kubernetes.Interface) error {
	rbac := client.RbacV1()
	_, err := rbac.ClusterRoles().Create(ctx, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: v1.RelayUser},
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{""}, Resources: []string{"users", "groups"}, Verbs: []string{"impersonate"},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	for _, each := range []struct{ subject, kind, role string }{
		{v1.RelayUser, rbacv1.UserKind, v1.RelayUser},
		{v1.GroupAdmins, rbacv1.GroupKind, "cluster-admin"},
		{v1.GroupViewers, rbacv1.GroupKind, "view"},
	} {
		_, err := rbac.ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "test:" + each.subject},
			Subjects:   []rbacv1.Subject{{Kind: each.kind, Name: each.subject, APIGroup: rbacv1.GroupName}},
			RoleRef:    rbacv1.RoleRef{Kind: "ClusterRole", Name: each.role, APIGroup: rbacv1.GroupName},
		}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
	}
	return nil
}
