// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"errors"
	"fmt"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// BindSecret gives a credential that is kept in a Secret of the host the rights of a
// ClusterRole, until expires. Errors are those of Bind.
func (k *Kubeconfigs) BindSecret(ctx context.Context, id, secret, clusterRole string, expires time.Time) error {
	grant := &tenancyv1.KubeconfigGrant{ID: id, ClusterRole: clusterRole}
	return k.bind(ctx, grant, tenancyv1.SecretUser(id, secret), expires, tenancyv1.AccessSecret, tenancyv1.AnnotationSecret, secret)
}

// EndSecrets deletes the bindings of credentials that are kept in Secrets, except those
// that keep wants, and says whether the one with the id is among the latter. Somebody
// inside may have made any of the bindings, so it counts only where the ClusterRole, the
// group and the Secret are those of the credential.
func (k *Kubeconfigs) EndSecrets(ctx context.Context, id, secret, clusterRole string, keep bool) (bound bool, err error) {
	client := k.virtual.RbacV1().ClusterRoleBindings()
	list, err := client.List(ctx, metav1.ListOptions{LabelSelector: tenancyv1.LabelAccess + "=" + tenancyv1.AccessSecret})
	if err != nil {
		return false, fmt.Errorf("list ClusterRoleBindings: %w", err)
	}
	ours := func(binding *rbacv1.ClusterRoleBinding) bool {
		return binding.Annotations[tenancyv1.AnnotationSecret] == secret && binding.RoleRef.Kind == "ClusterRole" && binding.RoleRef.Name == clusterRole &&
			len(binding.Subjects) == 1 && binding.Subjects[0].Kind == rbacv1.GroupKind && binding.Subjects[0].Name == binding.Name
	}
	for i := range list.Items {
		bound = bound || ours(&list.Items[i]) && list.Items[i].Name == tenancyv1.KubeconfigPrefix+id
	}
	var errs []error
	made := bindings{virtual: k.virtual}
	for i := range list.Items {
		if binding := &list.Items[i]; !keep || !bound || !ours(binding) {
			errs = append(errs, made.remove(ctx, binding.Name, binding.UID))
		}
	}
	return bound && keep, errors.Join(errs...)
}
