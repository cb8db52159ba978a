// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
)

// roles are the ClusterRoles that people are bound to, the host's own as they
// are with what Garret adds to them, and what each lets them do.
var roles = func() map[string][]string {
	see := []string{"list", "watch"}
	get := slices.Concat(see, []string{"get", "get status", "get by the gateway", "create by the gateway"})
	look := slices.Concat(get, []string{"get inside"})
	enter := slices.Concat(look, []string{"create inside", "update inside", "patch inside", "delete inside", "upgrade inside"})
	all := slices.Concat(enter, []string{
		"create", "update", "patch", "apply what is new", "delete", "deletecollection", "create kubeconfig",
	})
	return map[string][]string{
		"admin": all, "edit": all, "view": see,
		"garret-admin": all, "garret-view": see, "garret-enter-gateway": get,
		"garret-enter-readonly": look, "garret-enter": enter,
		// These are about other kinds.
		"garret-catalog": nil, "garret-catalog-admin": nil, "garret-privileged-pods": nil,
	}
}()

// TestRoles binds each role in a namespace, and does everything there and elsewhere.
func TestRoles(t *testing.T) {
	openInside(t)
	for role, opens := range roles {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			c := newCaller(t, rbacv1.UserKind, "bound-to-"+role)
			shared.host.BindClusterRole(t, c.User, here.Namespace, role)
			c.await(t, opens)
			for _, a := range actions {
				for _, p := range a.places {
					want := slices.Contains(opens, a.name) && p.Namespace == here.Namespace
					may := true
					for _, needed := range a.needs {
						yes, err := allowed(t.Context(), c.client, needed, p)
						if err != nil {
							t.Fatal(err)
						}
						may = may && yes
					}
					if may != want {
						t.Errorf("can-i %s in %q: got %t, want %t", a.name, p, may, want)
					}
					wantDone(t, c, a, p, want)
				}
			}
		})
	}
}

// await waits until the host knows that the caller may do all of these where
// rights are granted: it puts aggregated roles together in a moment, one after another.
func (c *caller) await(t *testing.T, names []string) {
	t.Helper()
	for _, a := range actions {
		if !slices.Contains(names, a.name) {
			continue
		}
		for _, needed := range a.needs {
			shared.host.AwaitAllowed(t, c.User, needed.at(here))
		}
	}
}
