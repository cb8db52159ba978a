// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"context"
	"errors"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/user"
	applyv1 "k8s.io/client-go/applyconfigurations/rbac/v1"

	explainv1alpha1 "garret.dev/garret/apis/explain/v1alpha1"
	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

const (
	roleViewer  = "garret:viewer"
	roleMetrics = "garret:metrics-reader"
	roleExplain = "garret:explain"
)

// rolesAndBindings are the rights of the groups and users that Garret lets in.
func rolesAndBindings() ([]*applyv1.ClusterRoleApplyConfiguration, []*applyv1.ClusterRoleBindingApplyConfiguration) {
	roles := []*applyv1.ClusterRoleApplyConfiguration{relayRole(), viewerRole(), metricsRole(), explainRole()}
	bindings := []*applyv1.ClusterRoleBindingApplyConfiguration{
		binding(tenancyv1.RelayUser, rbacv1.UserKind, tenancyv1.RelayUser, tenancyv1.RelayUser),
		binding(tenancyv1.GroupAdmins, rbacv1.GroupKind, tenancyv1.GroupAdmins, "cluster-admin"),
		binding(tenancyv1.GroupViewers, rbacv1.GroupKind, tenancyv1.GroupViewers, "view"),
		binding(roleViewer, rbacv1.GroupKind, tenancyv1.GroupViewers, roleViewer),
		binding(roleExplain, rbacv1.GroupKind, user.AllAuthenticated, roleExplain),
	}
	return roles, bindings
}

// rights puts in place what the groups and users may do that Garret lets in.
func (b *Bootstrap) rights() []step {
	roles, bindings := rolesAndBindings()
	var steps []step
	for _, role := range roles {
		steps = append(steps, step{"the ClusterRole " + *role.Name, func(ctx context.Context) error { return b.applyRole(ctx, role) }, false})
	}
	for _, binding := range bindings {
		steps = append(steps, step{"the ClusterRoleBinding " + *binding.Name, func(ctx context.Context) error { return b.applyBinding(ctx, binding) }, false})
	}
	return steps
}

// rightsNames are the names of the roles and bindings.
func rightsNames() (roles, bindings sets.Set[string]) {
	roles, bindings = sets.New[string](), sets.New[string]()
	allRoles, allBindings := rolesAndBindings()
	for _, role := range allRoles {
		roles.Insert(*role.Name)
	}
	for _, binding := range allBindings {
		bindings.Insert(*binding.Name)
	}
	return roles, bindings
}

// RestoreRights puts the rights back that every virtual cluster has.
func (b *Bootstrap) RestoreRights(ctx context.Context) error {
	var errs []error
	for _, s := range b.rights() {
		if err := s.run(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
		}
	}
	return errors.Join(errs...)
}

func (b *Bootstrap) applyRole(ctx context.Context, role *applyv1.ClusterRoleApplyConfiguration) error {
	_, err := b.Virtual.RbacV1().ClusterRoles().Apply(ctx, role, force())
	return err
}

func (b *Bootstrap) applyBinding(ctx context.Context, binding *applyv1.ClusterRoleBindingApplyConfiguration) error {
	client := b.Virtual.RbacV1().ClusterRoleBindings()
	_, err := client.Apply(ctx, binding, force())
	if apierrors.IsInvalid(err) {
		// Somebody made it again with another role, which cannot be changed.
		if err := client.Delete(ctx, *binding.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		_, err = client.Apply(ctx, binding, force())
	}
	return err
}

func force() metav1.ApplyOptions { return metav1.ApplyOptions{FieldManager: fieldManager, Force: true} }

// relayRole lets the relay be anybody, and nothing else: where a header is lost
// on the way, the request has no rights at all. RBAC names the extra fields of
// a user one by one; the relay sends none.
func relayRole() *applyv1.ClusterRoleApplyConfiguration {
	return applyv1.ClusterRole(tenancyv1.RelayUser).WithRules(
		applyv1.PolicyRule().WithAPIGroups("").WithResources("users", "groups").WithVerbs("impersonate"),
		applyv1.PolicyRule().WithAPIGroups("authentication.k8s.io").WithResources("uids").WithVerbs("impersonate"),
	)
}

// viewerRole adds to the role view, which is about namespaces, what of the
// cluster itself can be read without harm. No secret is in any of it.
func viewerRole() *applyv1.ClusterRoleApplyConfiguration {
	read := []string{"get", "list", "watch"}
	rule := func(group string, resources ...string) *applyv1.PolicyRuleApplyConfiguration {
		return applyv1.PolicyRule().WithAPIGroups(group).WithResources(resources...).WithVerbs(read...)
	}
	return applyv1.ClusterRole(roleViewer).WithRules(
		rule("", "namespaces", "nodes", "persistentvolumes"),
		rule("storage.k8s.io", "storageclasses", "volumeattachments", "csidrivers", "csinodes", "csistoragecapacities", "volumeattributesclasses"),
		rule("apiextensions.k8s.io", "customresourcedefinitions"),
		rule("apiregistration.k8s.io", "apiservices"),
		rule("scheduling.k8s.io", "priorityclasses"),
		rule("node.k8s.io", "runtimeclasses"),
		rule("networking.k8s.io", "ingressclasses"),
		rule(tenancyv1.GroupGatewayAPI, tenancyv1.ResourceGatewayClasses),
		rule("snapshot.storage.k8s.io", "volumesnapshotclasses", "volumesnapshotcontents"),
		rule("resource.k8s.io", "deviceclasses"),
		rule("metrics.k8s.io", "nodes", "pods"),
	)
}

// metricsRole has those who may view a namespace read what its pods use, as metrics-server
// does elsewhere. Figures of nodes stay with those who may see all of the cluster.
func metricsRole() *applyv1.ClusterRoleApplyConfiguration {
	labels := map[string]string{}
	for _, role := range []string{"view", "edit", "admin"} {
		labels["rbac.authorization.k8s.io/aggregate-to-"+role] = "true"
	}
	return applyv1.ClusterRole(roleMetrics).WithLabels(labels).WithRules(
		applyv1.PolicyRule().WithAPIGroups("metrics.k8s.io").WithResources("pods").WithVerbs("get", "list"))
}

// explainRole has everybody ask what became of an object on the host. The syncer answers
// those who may get the object itself.
func explainRole() *applyv1.ClusterRoleApplyConfiguration {
	return applyv1.ClusterRole(roleExplain).WithRules(
		applyv1.PolicyRule().WithAPIGroups(explainv1alpha1.GroupName).WithResources("*").WithVerbs("get"))
}

func binding(name, kind, subject, role string) *applyv1.ClusterRoleBindingApplyConfiguration {
	return applyv1.ClusterRoleBinding(name).
		WithSubjects(applyv1.Subject().WithAPIGroup(rbacv1.GroupName).WithKind(kind).WithName(subject)).
		WithRoleRef(applyv1.RoleRef().WithAPIGroup(rbacv1.GroupName).WithKind("ClusterRole").WithName(role))
}
