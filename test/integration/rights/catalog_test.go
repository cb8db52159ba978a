// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"context"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/test/framework"
)

func (c *caller) clients(t *testing.T) *versioned.Clientset {
	t.Helper()
	clients, err := versioned.NewForConfigAndClient(c.config, c.host)
	if err != nil {
		t.Fatal(err)
	}
	return clients
}

// TestCatalog wants templates and host clusters to be seen by everybody whom the
// host knows, and written by nobody but those who run the platform: not even by
// an administrator of a namespace.
func TestCatalog(t *testing.T) {
	t.Parallel()
	stranger := newCaller(t, rbacv1.UserKind, "stranger")
	namespaceAdmin := newCaller(t, rbacv1.UserKind, "namespace-admin")
	shared.host.BindClusterRole(t, namespaceAdmin.User, here.Namespace, "admin")
	everywhereAdmin := newCaller(t, rbacv1.UserKind, "everywhere-admin")
	shared.host.BindClusterRole(t, everywhereAdmin.User, "", "admin")
	platform := newCaller(t, rbacv1.UserKind, "platform")
	shared.host.BindClusterRole(t, platform.User, "", "garret-catalog-admin")
	account := newCaller(t, rbacv1.ServiceAccountKind, "stranger")

	for _, c := range []*caller{stranger, namespaceAdmin, everywhereAdmin, platform, account} {
		name := c.Name
		clients := c.clients(t).TenancyV1()
		if _, err := clients.VirtualClusterTemplates().List(t.Context(), metav1.ListOptions{}); err != nil {
			t.Errorf("%s lists templates: %v", name, err)
		}
		if _, err := clients.HostClusters().Get(t.Context(), v1.LocalHostCluster, metav1.GetOptions{}); err != nil {
			t.Errorf("%s gets the host cluster: %v", name, err)
		}
		for what, write := range map[string]func(context.Context) error{
			"create a template": func(ctx context.Context) error {
				_, err := clients.VirtualClusterTemplates().Create(ctx, &v1.VirtualClusterTemplate{
					ObjectMeta: metav1.ObjectMeta{Name: "small"},
					Spec:       v1.VirtualClusterTemplateSpec{Versions: []v1.TemplateVersion{{Version: "1.0.0"}}},
				}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
				return err
			},
			"update the host cluster": func(ctx context.Context) error {
				local, err := clients.HostClusters().Get(ctx, v1.LocalHostCluster, metav1.GetOptions{})
				if err != nil {
					return err
				}
				_, err = clients.HostClusters().Update(ctx, local, metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
				return err
			},
			"delete all templates": func(ctx context.Context) error {
				return clients.VirtualClusterTemplates().DeleteCollection(ctx,
					metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}, metav1.ListOptions{})
			},
		} {
			if c == platform {
				framework.Eventually(t, name+" may "+what, func(ctx context.Context) (bool, error) {
					err := write(ctx)
					return err == nil, notForbidden(err)
				})
			} else if err := write(t.Context()); !apierrors.IsForbidden(err) {
				t.Errorf("%s: %s: got %v, want Forbidden", name, what, err)
			}
		}
		local, err := clients.HostClusters().Get(t.Context(), v1.LocalHostCluster, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := clients.HostClusters().UpdateStatus(t.Context(), local, metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}}); !apierrors.IsForbidden(err) {
			t.Errorf("%s updates the status: got %v, want Forbidden", name, err)
		}
	}
	nobody, err := versioned.NewForConfig(rest.AnonymousClientConfig(shared.host.Config))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nobody.TenancyV1().VirtualClusterTemplates().List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) && !apierrors.IsUnauthorized(err) {
		t.Errorf("somebody unknown lists templates: got %v, want a refusal", err)
	}
}

// notForbidden is the error unless it says that a right is missing, as it is
// until the host knows of a new binding.
func notForbidden(err error) error {
	if apierrors.IsForbidden(err) {
		return nil
	}
	return err
}
