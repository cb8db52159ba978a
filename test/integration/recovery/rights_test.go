// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"context"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework/deployed"
)

// TestSwitchWithoutItsRight switches something on that the Role of a virtual cluster cannot
// grant. It is told, by whom it can be granted, and is over once that is done.
func TestSwitchWithoutItsRight(t *testing.T) {
	t.Parallel()
	object := newVirtualCluster(t)
	object.Spec.Syncer.ExtraArgs = []string{"--sync-nodes-from-host=true"}
	c := cluster{deployed.Run(t, host.ControlPlane, host.garret.Clients, object)}
	message := c.awaitCondition(t, v1.ConditionSyncerReady, metav1.ConditionFalse, v1.ReasonMissingRights)
	for _, word := range []string{c.Namespace + "/vc-demo may not list, watch nodes of the whole host cluster", "--sync-nodes-from-host", "administrator of the host cluster"} {
		if !strings.Contains(message, word) {
			t.Errorf("message: got %q, want %q in it", message, word)
		}
	}
	c.awaitCondition(t, v1.ConditionStalled, metav1.ConditionTrue, v1.ReasonMissingRights)

	rbac, meta := host.Client.RbacV1(), metav1.ObjectMeta{Name: c.Namespace + "-nodes"}
	_, err := rbac.ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: meta,
		Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"get", "list", "watch"}}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rbac.ClusterRoles().Delete(context.Background(), meta.Name, metav1.DeleteOptions{}) })
	_, err = rbac.ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{ObjectMeta: meta,
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: meta.Name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: c.Namespace, Name: "vc-demo"}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rbac.ClusterRoleBindings().Delete(context.Background(), meta.Name, metav1.DeleteOptions{}) })
	c.awaitCondition(t, v1.ConditionSyncerReady, metav1.ConditionTrue, syncing)
}
