package bootstrap

import (
	"context"
	"errors"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/component-helpers/auth/rbac/reconciliation"
	schedulingv1 "k8s.io/kubernetes/pkg/apis/scheduling/v1"
	"k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy"
)

// errReadOnly is never seen: a reconciliation that is not confirmed writes
// nothing.
var errReadOnly = errors.New("a list cannot be written to")

// roleList and bindingList are stored objects by namespace and name, where a
// reconciliation looks for them.
type (
	roleList    map[types.NamespacedName]reconciliation.RuleOwner
	bindingList map[types.NamespacedName]reconciliation.RoleBinding
)

func (l roleList) add(r reconciliation.RuleOwner) {
	l[types.NamespacedName{Namespace: r.GetNamespace(), Name: r.GetName()}] = r
}

func (l roleList) Get(namespace, name string) (reconciliation.RuleOwner, error) {
	if r, ok := l[types.NamespacedName{Namespace: namespace, Name: name}]; ok {
		return r, nil
	}
	return nil, apierrors.NewNotFound(rbacv1.Resource("roles"), name)
}

func (l roleList) Create(reconciliation.RuleOwner) (reconciliation.RuleOwner, error) {
	return nil, errReadOnly
}

func (l roleList) Update(reconciliation.RuleOwner) (reconciliation.RuleOwner, error) {
	return nil, errReadOnly
}

func (l bindingList) add(b reconciliation.RoleBinding) {
	l[types.NamespacedName{Namespace: b.GetNamespace(), Name: b.GetName()}] = b
}

func (l bindingList) Get(namespace, name string) (reconciliation.RoleBinding, error) {
	if b, ok := l[types.NamespacedName{Namespace: namespace, Name: name}]; ok {
		return b, nil
	}
	return nil, apierrors.NewNotFound(rbacv1.Resource("rolebindings"), name)
}

func (l bindingList) Delete(string, string, types.UID) error { return errReadOnly }

func (l bindingList) Create(reconciliation.RoleBinding) (reconciliation.RoleBinding, error) {
	return nil, errReadOnly
}

func (l bindingList) Update(reconciliation.RoleBinding) (reconciliation.RoleBinding, error) {
	return nil, errReadOnly
}

// rolesComplete tells whether every bootstrap role and binding is stored with
// all that it should grant.
func rolesComplete(ctx context.Context, client kubernetes.Interface) (bool, error) {
	roles, err := listRoles(ctx, client)
	if err != nil {
		return false, err
	}
	for _, want := range wantedRoles() {
		options := reconciliation.ReconcileRoleOptions{Role: want, Client: roles}
		if result, err := options.Run(); err != nil || result.Operation != reconciliation.ReconcileNone {
			return false, err
		}
	}
	bindings, err := listBindings(ctx, client)
	if err != nil {
		return false, err
	}
	for _, want := range wantedBindings() {
		options := reconciliation.ReconcileRoleBindingOptions{RoleBinding: want, Client: bindings}
		if result, err := options.Run(); err != nil || result.Operation != reconciliation.ReconcileNone {
			return false, err
		}
	}
	return true, nil
}

func wantedRoles() []reconciliation.RuleOwner {
	var wanted []reconciliation.RuleOwner
	for _, role := range append(bootstrappolicy.ClusterRoles(), bootstrappolicy.ControllerRoles()...) {
		wanted = append(wanted, reconciliation.ClusterRoleRuleOwner{ClusterRole: &role})
	}
	for _, roles := range bootstrappolicy.NamespaceRoles() {
		for _, role := range roles {
			wanted = append(wanted, reconciliation.RoleRuleOwner{Role: &role})
		}
	}
	return wanted
}

func wantedBindings() []reconciliation.RoleBinding {
	var wanted []reconciliation.RoleBinding
	for _, binding := range append(bootstrappolicy.ClusterRoleBindings(), bootstrappolicy.ControllerRoleBindings()...) {
		wanted = append(wanted, reconciliation.ClusterRoleBindingAdapter{ClusterRoleBinding: &binding})
	}
	for _, bindings := range bootstrappolicy.NamespaceRoleBindings() {
		for _, binding := range bindings {
			wanted = append(wanted, reconciliation.RoleBindingAdapter{RoleBinding: &binding})
		}
	}
	return wanted
}

func listRoles(ctx context.Context, client kubernetes.Interface) (roleList, error) {
	list := roleList{}
	clusterRoles, err := client.RbacV1().ClusterRoles().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, role := range clusterRoles.Items {
		list.add(reconciliation.ClusterRoleRuleOwner{ClusterRole: &role})
	}
	roles, err := client.RbacV1().Roles(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, role := range roles.Items {
		list.add(reconciliation.RoleRuleOwner{Role: &role})
	}
	return list, nil
}

func listBindings(ctx context.Context, client kubernetes.Interface) (bindingList, error) {
	list := bindingList{}
	clusterBindings, err := client.RbacV1().ClusterRoleBindings().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, binding := range clusterBindings.Items {
		list.add(reconciliation.ClusterRoleBindingAdapter{ClusterRoleBinding: &binding})
	}
	bindings, err := client.RbacV1().RoleBindings(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, binding := range bindings.Items {
		list.add(reconciliation.RoleBindingAdapter{RoleBinding: &binding})
	}
	return list, nil
}

// priorityClassesComplete tells whether the two system classes exist.
func priorityClassesComplete(ctx context.Context, client kubernetes.Interface) (bool, error) {
	for _, want := range schedulingv1.SystemPriorityClasses() {
		_, err := client.SchedulingV1().PriorityClasses().Get(ctx, want.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}
