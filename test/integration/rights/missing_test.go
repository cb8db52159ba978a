// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"context"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"

	v1 "garret.dev/garret/apis/tenancy/v1"
	syncerrights "garret.dev/garret/syncer/rights"
	"garret.dev/garret/test/framework"
)

// TestMissingRights looks with the syncer's account for what it needs. The Role of a
// virtual cluster has all of it, but for the host's classes, which garret-controller lends,
// and for its nodes, which no Role can grant.
func TestMissingRights(t *testing.T) {
	t.Parallel()
	config, err := clientcmd.BuildConfigFromFlags("", shared.account)
	if err != nil {
		t.Fatal(err)
	}
	doubts := syncerrights.NewDoubts()
	client, err := kubernetes.NewForConfig(doubts.Watched(config))
	if err != nil {
		t.Fatal(err)
	}
	synced, err := v1.SelectResources(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	lend(t, "classes-for-demo", v1.SyncerClusterRules(synced)...)
	shared.host.AwaitAllowed(t, framework.User{Name: "system:serviceaccount:" + namespace + ":" + v1.ReleaseName(name)},
		authorizationv1.ResourceAttributes{Group: "storage.k8s.io", Resource: "storageclasses", Verb: "list"})
	told := make(chan string, 100)
	watch := syncerrights.New(syncerrights.Options{
		Host: client.AuthorizationV1(), Namespace: namespace, Needs: syncerrights.NeedsOf(name, synced, true, nil, nil, syncerrights.Shown{}), Doubts: doubts, Clock: clock.RealClock{},
		Report: func(missing []syncerrights.Need) {
			if len(missing) == 0 {
				told <- ""
				return
			}
			told <- syncerrights.Describe(missing, namespace, v1.ReleaseName(name))
		},
	})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- watch.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	next := func() string {
		t.Helper()
		select {
		case text := <-told:
			return text
		case <-time.After(time.Minute):
			t.Fatal("nothing is told")
			return ""
		}
	}
	const want = "the syncer's ServiceAccount team/vc-demo may not list, watch nodes of the whole host cluster, which --sync-nodes-from-host needs."
	if got := next(); !strings.HasPrefix(got, want) || strings.Contains(got, ";") && !strings.Contains(got, "or switch off") {
		t.Errorf("got %q, want %q and no other right", got, want)
	}
	// An administrator grants it.
	lend(t, "nodes-for-demo", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"get", "list", "watch"}})
	framework.Eventually(t, "nothing is missing any more", func(context.Context) (bool, error) { return next() == "", nil })
}

// lend gives the syncer's account rights in the whole host cluster.
func lend(t *testing.T, role string, rules ...rbacv1.PolicyRule) {
	t.Helper()
	meta, rbac := metav1.ObjectMeta{Name: role}, shared.host.Client.RbacV1()
	if _, err := rbac.ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rbac.ClusterRoles().Delete(context.Background(), role, metav1.DeleteOptions{}) })
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: v1.ReleaseName(name)}}}
	if _, err := rbac.ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rbac.ClusterRoleBindings().Delete(context.Background(), role, metav1.DeleteOptions{}) })
}
