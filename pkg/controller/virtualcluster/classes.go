// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// syncerArguments are those of the syncer: what the spec asks for, without the classes of the
// host where the host does not lend the right to read them. What is asked for by name stays,
// so that the virtual cluster says which right is missing. Definitions says whether the host lends
// the right to read those of its kinds.
func (c *Controller) syncerArguments(ctx context.Context, vc *tenancyv1.VirtualCluster, definitions bool) ([]string, error) {
	args := vc.Spec.Syncer.Args()
	synced, err := tenancyv1.SelectByArgs(args)
	if err != nil {
		// Validation refuses it now: it was stored under an earlier release.
		return nil, &trouble{Reason: reasonInvalidSpec, Message: "spec.syncer: " + err.Error(), final: true}
	}
	unserved, err := c.unserved(&vc.Spec.Syncer)
	if err != nil {
		return nil, err
	}
	var without []string
	if len(unserved) > 0 {
		without = []string{disabling(unserved)}
	}
	for _, name := range unserved {
		synced[name] = false
	}
	for _, role := range tenancyv1.WritingRoles() {
		// Where the host does not lend it, the syncer says which right is missing.
		if _, err := c.lend(ctx, vc, role, len(tenancyv1.KindsOfRole(role, synced)) > 0); err != nil {
			return nil, err
		}
	}
	var unlent []string
	for _, role := range []string{tenancyv1.RoleHostClasses, tenancyv1.RoleHostContents} {
		kinds := tenancyv1.KindsOfRole(role, synced)
		lent, err := c.lend(ctx, vc, role, len(kinds) > 0)
		if err != nil {
			return nil, err
		}
		for i := range kinds {
			if !lent {
				unlent = append(unlent, kinds[i].Name())
			}
		}
	}
	if len(unlent) > 0 {
		without = append(without, disabling(unlent))
	}
	if !definitions {
		unlent = append(unlent, vc.Spec.Syncer.ImpliedKinds()...)
	}
	return slices.Concat(without, vc.Spec.Syncer.ArgsWithout(unlent...)), nil
}

// disabling is the argument by which a syncer leaves kinds out that nothing asks for by name.
func disabling(kinds []string) string {
	return "--" + tenancyv1.FlagDisableSyncResources + "=" + strings.Join(kinds, ",")
}

// lend has the account of the syncer be among those that the ClusterRoleBinding is for,
// or not. It returns whether it is. Where an administrator deleted the binding, nobody is.
func (c *Controller) lend(ctx context.Context, vc *tenancyv1.VirtualCluster, name string, wanted bool) (bool, error) {
	known, err := c.watched.lent[name].Get(name)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("ClusterRoleBinding %s: %w", name, err)
	}
	bindings := c.Host.RbacV1().ClusterRoleBindings()
	account := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: vc.Namespace, Name: tenancyv1.ReleaseName(vc.Name)}
	if slices.Contains(known.Subjects, account) == wanted {
		return wanted, nil
	}
	lent := false
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		binding, err := bindings.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if lent = slices.Contains(binding.Subjects, account); lent == wanted {
			return nil
		}
		if wanted {
			binding.Subjects = append(binding.Subjects, account)
		} else {
			binding.Subjects = slices.DeleteFunc(binding.Subjects, func(s rbacv1.Subject) bool { return s == account })
		}
		if _, err := bindings.Update(ctx, binding, metav1.UpdateOptions{}); err != nil {
			return err
		}
		lent = wanted
		return nil
	})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("ClusterRoleBinding %s: %w", name, err)
	}
	return lent, nil
}

// lentRoles are the ClusterRoles that are lent to syncers, by bindings of the same names.
func lentRoles() []string { return append(tenancyv1.ClusterRoles(), tenancyv1.RoleHostDefinitions) }
