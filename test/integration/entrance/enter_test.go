// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package entrance

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"garret.dev/garret/test/framework"
)

// TestWhoEnters has one user for each kind of right on the host.
func TestWhoEnters(t *testing.T) {
	byEachDoor(t, func(t *testing.T, d *door) {
		paths := []string{d.path(name, namespace), d.path("missing", namespace), d.path(name, elsewhere)}
		for who, tc := range map[string]struct {
			in    string
			rules []rbacv1.PolicyRule
			// want are the codes of what is there, is missing, and would be in another namespace.
			want [3]int
		}{
			"get, everywhere":           {"", []rbacv1.PolicyRule{to("get", d.resource)}, [3]int{200, 404, 404}},
			"get, in the namespace":     {namespace, []rbacv1.PolicyRule{to("get", d.resource)}, [3]int{200, 404, 403}},
			"get, of this object":       {namespace, []rbacv1.PolicyRule{to("get", d.resource, "demo")}, [3]int{200, 403, 403}},
			"get, of another object":    {namespace, []rbacv1.PolicyRule{to("get", d.resource, "missing")}, [3]int{403, 404, 403}},
			"get, in another namespace": {elsewhere, []rbacv1.PolicyRule{to("get", d.resource)}, [3]int{403, 403, 404}},
			"list and watch":            {namespace, []rbacv1.PolicyRule{to("list,watch", d.resource)}, [3]int{403, 403, 403}},
			"all of the other door's":   {namespace, []rbacv1.PolicyRule{to("get,create,update,patch,delete", d.other)}, [3]int{403, 403, 403}},
			"everything but get":        {namespace, []rbacv1.PolicyRule{to("create,list,watch,update,patch,delete", d.resource)}, [3]int{403, 403, 403}},
			"nothing":                   {namespace, nil, [3]int{403, 403, 403}},
		} {
			t.Run(who, func(t *testing.T) {
				u := may(t, account(t, "enters"), tc.in, tc.rules...)
				for i, path := range paths {
					got := d.get(t, u, path+"/api/v1/namespaces", tc.want[i])
					if tc.want[i] == http.StatusOK {
						continue
					}
					var status metav1.Status
					if err := json.Unmarshal([]byte(got.body), &status); err != nil || status.Kind != "Status" || int(status.Code) != got.code {
						t.Errorf("%s: answered %s, want a Status", path, got.body)
					}
					missing := fmt.Sprintf(`cannot get resource %q in API group "tenancy.garret.dev"`, d.resource)
					if got.code == http.StatusForbidden && !strings.Contains(status.Message, missing) {
						t.Errorf("%s: answered %q, want the right that is missing", path, status.Message)
					}
				}
			})
		}
	})
}

func TestNobody(t *testing.T) {
	// What is a token inside is nothing to the host.
	accounts := shared.virtual.Client.CoreV1().ServiceAccounts(metav1.NamespaceDefault)
	token, err := accounts.CreateToken(t.Context(), "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	byEachDoor(t, func(t *testing.T, d *door) {
		for who, tc := range map[string]struct {
			token string
			want  int
		}{
			"without credentials":    {"", d.stranger},
			"with a wrong token":     {"wrong", http.StatusUnauthorized},
			"with a token of inside": {token.Status.Token, http.StatusUnauthorized},
		} {
			t.Run(who, func(t *testing.T) {
				u := framework.User{AuthInfo: clientcmdapi.AuthInfo{Token: tc.token}}
				for _, path := range []string{d.inside("/api"), d.inside("/"), "/apis/tenancy.garret.dev/v1/virtualclusters"} {
					d.get(t, u, path, tc.want)
				}
			})
		}
	})
}

// What a role lets somebody do inside.
const (
	nothing = iota
	look
	work
)

// TestRoles binds roles of the install chart on the host, and has RBAC inside decide about the rest.
func TestRoles(t *testing.T) {
	byEachDoor(t, func(t *testing.T, d *door) {
		// The right to get the object opens the gateway alone.
		get := map[string]int{"gateway": look}[d.name]
		for role, level := range map[string]int{
			"admin": work, "garret-enter": work, "garret-enter-readonly": look, "garret-enter-gateway": get, "view": nothing, "": nothing,
		} {
			t.Run("bound to "+cmp.Or(role, "nothing"), func(t *testing.T) {
				u := certified(t, "bound", "dev")
				if role != "" {
					shared.host.BindClusterRole(t, u, namespace, role)
					// The host puts aggregated roles together in a moment, one after another.
					needs := []string{"list " + clusters, "get " + d.resource, "create " + proxy}[:level+1]
					for _, each := range needs {
						verb, resource, _ := strings.Cut(each, " ")
						shared.host.AwaitAllowed(t, u, on(verb, resource, namespace, ""))
					}
				}
				for _, each := range []struct {
					method, path, body string
					needs              int
				}{
					{http.MethodGet, d.inside("/api/v1/namespaces"), "", look},
					{http.MethodGet, d.inside("/api/v1/pods"), "", look},
					{http.MethodGet, d.inside("/api/v1/secrets"), "", work},
					{http.MethodPost, d.inside("/api/v1/namespaces/default/configmaps?dryRun=All"),
						`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}`, work},
					// What the controllers say is for no user to change.
					{http.MethodPut, objectPath(name, namespace) + "/status?dryRun=All",
						`{"apiVersion":"tenancy.garret.dev/v1","kind":"VirtualCluster","metadata":{"name":"demo"}}`, work + 1},
				} {
					got, allowed := d.ask(t, u, each.method, each.path, each.body, nil), level >= each.needs
					if allowed != (got.code < 300) || !allowed && got.code != http.StatusForbidden {
						t.Errorf("%s %s: answered %d, want it allowed: %t; %s", each.method, each.path, got.code, allowed, got.body)
					}
				}
			})
		}
	})
}
