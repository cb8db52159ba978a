package bootstrap

import (
	"context"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	schedulingv1 "k8s.io/kubernetes/pkg/apis/scheduling/v1"
)

// completeCluster holds everything that the hooks want.
func completeCluster() []runtime.Object {
	var objects []runtime.Object
	for _, role := range wantedRoles() {
		objects = append(objects, role.GetObject())
	}
	for _, binding := range wantedBindings() {
		objects = append(objects, binding.GetObject())
	}
	for _, class := range schedulingv1.SystemPriorityClasses() {
		objects = append(objects, class)
	}
	return objects
}

func TestCompleteOnlyWhenNothingIsToBeDone(t *testing.T) {
	ctx := context.Background()
	tests := map[string]struct {
		change         func(*testing.T, kubernetes.Interface)
		roles, classes bool
	}{
		"everything is there": {func(*testing.T, kubernetes.Interface) {}, true, true},
		"a role is missing": {func(t *testing.T, c kubernetes.Interface) {
			must(t, c.RbacV1().ClusterRoles().Delete(ctx, "system:node", metav1.DeleteOptions{}))
		}, false, true},
		"a role grants less": {func(t *testing.T, c kubernetes.Interface) {
			role, err := c.RbacV1().ClusterRoles().Get(ctx, "system:node", metav1.GetOptions{})
			must(t, err)
			role.Rules = role.Rules[1:]
			_, err = c.RbacV1().ClusterRoles().Update(ctx, role, metav1.UpdateOptions{})
			must(t, err)
		}, false, true},
		"a role grants more": {func(t *testing.T, c kubernetes.Interface) {
			role, err := c.RbacV1().ClusterRoles().Get(ctx, "system:node", metav1.GetOptions{})
			must(t, err)
			role.Rules = append(role.Rules, rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{"x"}, Resources: []string{"y"}})
			_, err = c.RbacV1().ClusterRoles().Update(ctx, role, metav1.UpdateOptions{})
			must(t, err)
		}, true, true},
		"a binding lost its subject": {func(t *testing.T, c kubernetes.Interface) {
			binding, err := c.RbacV1().ClusterRoleBindings().Get(ctx, "cluster-admin", metav1.GetOptions{})
			must(t, err)
			binding.Subjects = nil
			_, err = c.RbacV1().ClusterRoleBindings().Update(ctx, binding, metav1.UpdateOptions{})
			must(t, err)
		}, false, true},
		"a binding in a namespace is missing": {func(t *testing.T, c kubernetes.Interface) {
			must(t, c.RbacV1().RoleBindings("kube-system").Delete(ctx, "system:controller:token-cleaner", metav1.DeleteOptions{}))
		}, false, true},
		"a priority class is missing": {func(t *testing.T, c kubernetes.Interface) {
			must(t, c.SchedulingV1().PriorityClasses().Delete(ctx, "system-node-critical", metav1.DeleteOptions{}))
		}, true, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset(completeCluster()...)
			tc.change(t, client)
			if got, err := rolesComplete(ctx, client); err != nil || got != tc.roles {
				t.Errorf("roles: got %t, error %v, want %t", got, err, tc.roles)
			}
			if got, err := priorityClassesComplete(ctx, client); err != nil || got != tc.classes {
				t.Errorf("priority classes: got %t, error %v, want %t", got, err, tc.classes)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
