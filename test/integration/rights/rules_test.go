// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/clock"

	v1 "garret.dev/garret/apis/tenancy/v1"
	clientv1 "garret.dev/garret/generated/clientset/versioned/typed/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// setRules writes spec.access as the owner of the virtual cluster does, and returns the generation.
func setRules(t *testing.T, rules ...v1.AccessRule) int64 {
	t.Helper()
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"access": rules}})
	if err != nil {
		t.Fatal(err)
	}
	changed, err := shared.garret.Clients.TenancyV1().VirtualClusters(namespace).Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return changed.Generation
}

// may asks the API server inside whether somebody may do something in all namespaces.
func may(ctx context.Context, user string, groups []string, verb, resource string) (bool, error) {
	review, err := shared.inside.Client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user, Groups: append(groups, "system:authenticated"),
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Resource: resource},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return review.Status.Allowed, nil
}

// become waits until somebody may, or may no longer, and says how long that took.
func become(t *testing.T, user string, groups []string, verb, resource string, want bool) {
	t.Helper()
	start := time.Now()
	what := fmt.Sprintf("%s %v: may %s %s: %v", user, groups, verb, resource, want)
	framework.Eventually(t, what, func(ctx context.Context) (bool, error) {
		got, err := may(ctx, user, groups, verb, resource)
		return got == want, err
	})
	t.Logf("%s after %v", what, time.Since(start).Round(time.Millisecond))
}

// takeAway deletes a binding inside and waits until another stands in its place.
func takeAway(t *testing.T, binding string) {
	t.Helper()
	bindings := shared.inside.Client.RbacV1().ClusterRoleBindings()
	old, err := bindings.Get(t.Context(), binding, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := bindings.Delete(t.Context(), binding, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	framework.Eventually(t, binding+" is back", func(ctx context.Context) (bool, error) {
		got, err := bindings.Get(ctx, binding, metav1.GetOptions{})
		return err == nil && got.UID != old.UID, nil
	})
}

// applied waits until the status says that this generation's rules are in place, or why not.
func applied(t *testing.T, generation int64, status metav1.ConditionStatus, reason string) {
	t.Helper()
	reported(t, v1.ConditionAccessApplied, generation, status, reason)
}

// reported waits until a condition is so for this generation.
func reported(t *testing.T, kind string, generation int64, status metav1.ConditionStatus, reason string) {
	t.Helper()
	framework.Eventually(t, fmt.Sprintf("%s of generation %d is %s, %s", kind, generation, status, reason), func(ctx context.Context) (bool, error) {
		got, err := shared.garret.Clients.TenancyV1().VirtualClusters(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		condition := meta.FindStatusCondition(got.Status.Conditions, kind)
		return condition != nil && condition.ObservedGeneration == generation && condition.Status == status && condition.Reason == reason, nil
	})
}

// ruled are the names of the bindings that spec.access has inside.
func ruled(t *testing.T) string {
	t.Helper()
	list, err := shared.inside.Client.RbacV1().ClusterRoleBindings().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, binding := range list.Items {
		if strings.HasPrefix(binding.Name, v1.AccessPrefix) {
			names = append(names, binding.Name)
		}
	}
	return strings.Join(names, " ")
}

func TestRules(t *testing.T) {
	startSyncer(t)
	generation := setRules(t,
		v1.AccessRule{Users: []string{"bob", "system:serviceaccount:ci:deployer"}, ClusterRole: "edit"},
		v1.AccessRule{Groups: []string{"devs"}, ClusterRole: "view"},
		v1.AccessRule{Users: []string{"carol"}, ClusterRole: "edit"})
	become(t, "host:bob", nil, "create", "configmaps", true)
	become(t, "host:carol", nil, "create", "configmaps", true)
	become(t, "host:system:serviceaccount:ci:deployer", nil, "create", "configmaps", true)
	become(t, "host:dave", []string{"host:devs"}, "list", "pods", true)
	for _, nobody := range []string{"bob", "system:serviceaccount:ci:deployer", "host:host:bob", "host:devs"} {
		if allowed, err := may(t.Context(), nobody, []string{"devs"}, "list", "pods"); allowed || err != nil {
			t.Errorf("%s of group devs, who is nobody of the host: got %v, %v; want no right", nobody, allowed, err)
		}
	}
	applied(t, generation, metav1.ConditionTrue, "Applied")
	if got, want := ruled(t), "garret:access:edit garret:access:view"; got != want {
		t.Errorf("got bindings %s, want %s", got, want)
	}

	// One loses a right, another gets it, and a third keeps theirs.
	generation = setRules(t, v1.AccessRule{Users: []string{"carol", "erin"}, ClusterRole: "edit"})
	become(t, "host:bob", nil, "create", "configmaps", false)
	become(t, "host:dave", []string{"host:devs"}, "list", "pods", false)
	become(t, "host:erin", nil, "create", "configmaps", true)
	become(t, "host:carol", nil, "create", "configmaps", true)
	applied(t, generation, metav1.ConditionTrue, "Applied")

	generation = setRules(t)
	become(t, "host:carol", nil, "create", "configmaps", false)
	applied(t, generation, metav1.ConditionTrue, "Applied")
	if got := ruled(t); got != "" {
		t.Errorf("got bindings %s, want none", got)
	}
}

func TestRoleThatIsNotThere(t *testing.T) {
	startSyncer(t)
	roles := shared.inside.Client.RbacV1().ClusterRoles()
	generation := setRules(t, v1.AccessRule{Users: []string{"bob"}, ClusterRole: "example.com:gardener"}, v1.AccessRule{Users: []string{"carol"}, ClusterRole: "view"})
	applied(t, generation, metav1.ConditionFalse, "ClusterRoleNotFound")
	become(t, "host:carol", nil, "list", "pods", true)
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "example.com:gardener"},
		Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"create"}}}}
	if _, err := roles.Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	become(t, "host:bob", nil, "create", "configmaps", true)
	applied(t, generation, metav1.ConditionTrue, "Applied")
	if err := roles.Delete(t.Context(), role.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	applied(t, generation, metav1.ConditionFalse, "ClusterRoleNotFound")
	setRules(t)
}

// TestDrift has somebody inside work against the spec.
func TestDrift(t *testing.T) {
	startSyncer(t)
	bindings := shared.inside.Client.RbacV1().ClusterRoleBindings()
	rules := []v1.AccessRule{{Users: []string{"bob"}, ClusterRole: "edit"}}
	setRules(t, rules...)
	become(t, "host:bob", nil, "create", "configmaps", true)
	binding := v1.AccessPrefix + "edit"
	change := func(do func(*rbacv1.ClusterRoleBinding)) {
		t.Helper()
		// The syncer writes it, too, and may be in between.
		err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
			got, err := bindings.Get(t.Context(), binding, metav1.GetOptions{})
			if err != nil {
				return err
			}
			do(got)
			_, err = bindings.Update(t.Context(), got, metav1.UpdateOptions{})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	subject := func(user string) rbacv1.Subject {
		return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}
	}
	t.Run("deleted", func(t *testing.T) {
		takeAway(t, binding)
		become(t, "host:bob", nil, "create", "configmaps", true)
	})
	t.Run("somebody else added", func(t *testing.T) {
		change(func(b *rbacv1.ClusterRoleBinding) { b.Subjects = append(b.Subjects, subject("mallory")) })
		become(t, "mallory", nil, "create", "configmaps", false)
		become(t, "host:bob", nil, "create", "configmaps", true)
	})
	t.Run("label taken away, then the rule", func(t *testing.T) {
		change(func(b *rbacv1.ClusterRoleBinding) { b.Labels = nil })
		setRules(t)
		become(t, "host:bob", nil, "create", "configmaps", false)
		setRules(t, rules...)
		become(t, "host:bob", nil, "create", "configmaps", true)
	})
	t.Run("made anew with another role", func(t *testing.T) {
		if err := bindings.Delete(t.Context(), binding, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		forged := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: binding}, Subjects: []rbacv1.Subject{subject("mallory")},
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"}}
		// The syncer may have been quicker, and then there is nothing to forge.
		if _, err := bindings.Create(t.Context(), forged, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
		framework.Eventually(t, "the binding is the rule's again", func(ctx context.Context) (bool, error) {
			got, err := bindings.Get(ctx, binding, metav1.GetOptions{})
			return err == nil && got.RoleRef.Name == "edit" && len(got.Subjects) == 1 && got.Subjects[0].Name == "host:bob", nil
		})
		become(t, "mallory", nil, "create", "configmaps", false)
		become(t, "host:bob", nil, "create", "configmaps", true)
	})
	t.Run("one more under a reserved name", func(t *testing.T) {
		forged := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: v1.AccessPrefix + "cluster-admin"}, Subjects: []rbacv1.Subject{subject("mallory")},
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"}}
		if _, err := bindings.Create(t.Context(), forged, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		framework.Eventually(t, "the rule's binding is alone again", func(context.Context) (bool, error) { return ruled(t) == binding, nil })
		become(t, "mallory", nil, "create", "configmaps", false)
	})
	applied(t, setRules(t), metav1.ConditionTrue, "Applied")
}

// TestStanding has somebody inside lock the relay, and themself, out.
func TestStanding(t *testing.T) {
	startSyncer(t)
	rbac := shared.inside.Client.RbacV1()
	// The tests' own binding would hide that the syncer's is gone.
	if err := rbac.ClusterRoleBindings().Delete(t.Context(), "test:"+v1.RelayUser, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	takeAway(t, v1.RelayUser)
	become(t, v1.RelayUser, nil, "impersonate", "users", true)
	takeAway(t, v1.GroupAdmins)
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		role, err := rbac.ClusterRoles().Get(t.Context(), v1.RelayUser, metav1.GetOptions{})
		if err != nil {
			return err
		}
		role.Rules = nil
		_, err = rbac.ClusterRoles().Update(t.Context(), role, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	framework.Eventually(t, "the relay's role has its rules again", func(ctx context.Context) (bool, error) {
		got, err := rbac.ClusterRoles().Get(ctx, v1.RelayUser, metav1.GetOptions{})
		return err == nil && len(got.Rules) > 0, nil
	})
}

// TestOutage cuts the syncer off from the host.
func TestOutage(t *testing.T) {
	s := startSyncer(t)
	applied(t, setRules(t, v1.AccessRule{Users: []string{"bob"}, ClusterRole: "edit"}), metav1.ConditionTrue, "Applied")
	become(t, "host:bob", nil, "create", "configmaps", true)
	s.wire.cut()
	setRules(t, v1.AccessRule{Users: []string{"carol"}, ClusterRole: "view"})
	// What it knows, it keeps.
	takeAway(t, v1.AccessPrefix+"edit")
	become(t, "host:bob", nil, "create", "configmaps", true)
	// One that starts now knows nothing, and touches nothing: what it does know of, it does.
	s.stop()
	again := startSyncerOn(t, s.wire, clock.RealClock{})
	ended := newKubeconfigBinding(t, "0123456789abcdef", time.Now().Add(-time.Minute))
	framework.Eventually(t, "the binding of a kubeconfig that has ended is gone", func(ctx context.Context) (bool, error) {
		_, err := shared.inside.Client.RbacV1().ClusterRoleBindings().Get(ctx, ended, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	if got, want := ruled(t), v1.AccessPrefix+"edit"; got != want {
		t.Errorf("got bindings %q, want %q as before", got, want)
	}
	again.wire.mend()
	become(t, "host:bob", nil, "create", "configmaps", false)
	become(t, "host:carol", nil, "list", "pods", true)
	generation := setRules(t)
	applied(t, generation, metav1.ConditionTrue, "Applied")
}

// TestSyncerSeesItsOwnAlone tries what the syncer's account may read and change.
func TestSyncerSeesItsOwnAlone(t *testing.T) {
	config, err := clientcmd.BuildConfigFromFlags("", shared.account)
	if err != nil {
		t.Fatal(err)
	}
	tenancy, err := clientv1.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := shared.garret.Clients.TenancyV1().VirtualClusters(namespace).Create(t.Context(), &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: "other"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	own, other := fields.OneTermEqualSelector("metadata.name", name).String(), fields.OneTermEqualSelector("metadata.name", "other").String()
	in := tenancy.VirtualClusters(namespace)
	list := func(selector string) func() error {
		return func() error {
			got, err := in.List(t.Context(), metav1.ListOptions{FieldSelector: selector})
			if err == nil && (len(got.Items) != 1 || got.Items[0].Name != name) {
				return fmt.Errorf("got %d objects", len(got.Items))
			}
			return err
		}
	}
	watch := func(selector string) func() error {
		return func() error {
			w, err := in.Watch(t.Context(), metav1.ListOptions{FieldSelector: selector})
			if err == nil {
				w.Stop()
			}
			return err
		}
	}
	change := func(subresources ...string) func() error {
		return func() error {
			patch := []byte(`{"spec":{"access":[{"users":["mallory"],"clusterRole":"cluster-admin"}]}}`)
			_, err := in.Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{}, subresources...)
			return err
		}
	}
	for what, test := range map[string]struct {
		do      func() error
		allowed bool
	}{
		"list of its own":   {list(own), true},
		"watch of its own":  {watch(own), true},
		"list of all":       {list(""), false},
		"watch of all":      {watch(""), false},
		"list of another":   {list(other), false},
		"watch of another":  {watch(other), false},
		"change its access": {change(), false},
		"take a kubeconfig": {func() error {
			_, err := in.CreateKubeconfig(t.Context(), name, &v1.KubeconfigRequest{}, metav1.CreateOptions{})
			return err
		}, false},
	} {
		if err := test.do(); test.allowed && err != nil || !test.allowed && !apierrors.IsForbidden(err) {
			t.Errorf("%s: got %v, want allowed: %v", what, err, test.allowed)
		}
	}
	before, err := in.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// It may write the status, and the spec in the same request stays as it was.
	if err := change("status")(); err != nil {
		t.Fatal(err)
	}
	if after, err := in.Get(t.Context(), name, metav1.GetOptions{}); err != nil || len(after.Spec.Access) != len(before.Spec.Access) {
		t.Errorf("after a patch of the status: got access %v, %v; want it untouched", after.Spec.Access, err)
	}
}
