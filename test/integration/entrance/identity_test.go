// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package entrance

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// frontProxy has the certificate with which the host's API server introduces callers.
func frontProxy(t *testing.T) framework.User {
	t.Helper()
	read := func(file string) []byte {
		content, err := os.ReadFile(filepath.Join(shared.host.Dir, "server/tls", file))
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	return framework.User{AuthInfo: clientcmdapi.AuthInfo{
		ClientCertificateData: read("client-auth-proxy.crt"), ClientKeyData: read("client-auth-proxy.key"),
	}}
}

// named is somebody of the host without a credential of their own.
func named(name string) framework.User {
	return framework.User{Name: name, Subject: rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name}}
}

// TestIdentity has callers ask who they are inside, which is to create something.
func TestIdentity(t *testing.T) {
	byEachDoor(t, func(t *testing.T, d *door) {
		works := []rbacv1.PolicyRule{to("get", d.resource, name), to("create", proxy, name)}
		// Where the host is asked for the method, who may only look cannot ask.
		least, group := works[:1], v1.GroupViewers
		if d.methods {
			least, group = works, v1.GroupAdmins
		}
		var (
			accounts = []string{"host:system:serviceaccounts", "host:system:serviceaccounts:" + elsewhere}
			dev      = []string{"host:dev"}
			root     = http.Header{"X-Remote-User": {"root"}, "X-Remote-Group": {"system:masters"}}
		)
		for who, tc := range map[string]struct {
			caller framework.User
			header http.Header
			// named is whom the caller speaks for, if not for themself.
			named string
			// rules are given to who it is in the end, group is theirs inside for it, and groups are theirs on the host.
			rules  []rbacv1.PolicyRule
			group  string
			groups []string
		}{
			"a ServiceAccount":             {account(t, "who"), nil, "", least, group, accounts},
			"a client certificate":         {certified(t, "alice", "dev"), nil, "", works, v1.GroupAdmins, dev},
			"an administrator of the host": {chief(t), nil, "", nil, v1.GroupAdmins, []string{"host:system:masters"}},
			"the host's front proxy": {
				frontProxy(t), http.Header{"X-Remote-User": {"bob-" + d.name}, "X-Remote-Group": {"dev"}}, "bob-" + d.name, least, group, dev,
			},
			"headers of a front proxy, from somebody else": {certified(t, "carol", "dev"), root, "", least, group, dev},
			"headers of a front proxy, with a token":       {account(t, "pretender"), root, "", least, group, accounts},
			"who may impersonate on the host": {
				chief(t), http.Header{"Impersonate-User": {"dave-" + d.name}, "Impersonate-Group": {"dev"}}, "dave-" + d.name, least, group, dev,
			},
			"who names themself in another spelling": {
				certified(t, "eve", "dev"), http.Header{"Impersonate_user": {"root"}, "X_remote_user": {"root"}}, "", least, group, dev,
			},
		} {
			t.Run(who, func(t *testing.T) {
				u := tc.caller
				if tc.named != "" {
					u = named(tc.named)
				}
				may(t, u, namespace, tc.rules...)
				gotUser, got := d.whoami(t, tc.caller, tc.header)
				// The API server inside adds the group that all have.
				want := slices.Concat([]string{tc.group}, tc.groups, []string{"host:system:authenticated", "system:authenticated"})
				if gotUser != v1.HostUserPrefix+u.Name || !slices.Equal(got, want) {
					t.Errorf("inside it is %s in %q, want host:%s in %q", gotUser, got, u.Name, want)
				}
			})
		}
	})
}

// TestNoOtherIdentity has callers claim to be somebody whom they are not.
func TestNoOtherIdentity(t *testing.T) {
	byEachDoor(t, func(t *testing.T, d *door) {
		path := d.inside("/api/v1/secrets")
		root := http.Header{"X-Remote-User": {"system:admin"}, "X-Remote-Group": {"system:masters"}}
		reader := d.reader(t)
		for claim, header := range map[string]http.Header{
			"impersonation":                {"Impersonate-User": {"system:admin"}, "Impersonate-Group": {"system:masters"}},
			"impersonation of a group":     {"Impersonate-Group": {"system:masters"}},
			"impersonation of an account":  {"Impersonate-User": {"system:serviceaccount:kube-system:default"}},
			"impersonation of what inside": {"Impersonate-User": {"garret:relay"}},
			"a front proxy's":              root,
			"dropped on the way":           {"Connection": {"Impersonate-User, Impersonate-Group"}},
		} {
			t.Run(claim, func(t *testing.T) {
				// As a reader one may not read secrets; as anybody named here one might.
				if got := d.ask(t, reader, http.MethodGet, path, "", header); got.code != http.StatusForbidden && got.code != http.StatusBadRequest {
					t.Errorf("answered %d, want a refusal: %s", got.code, got.body)
				}
			})
		}
		t.Run("impersonation, by who may do everything inside", func(t *testing.T) {
			d.kubectl(t, d.admin(t)).Refused(t, "Forbidden", "get", "pods", "--as=system:admin", "--as-group=system:masters")
		})
		t.Run("a front proxy's, of nobody", func(t *testing.T) {
			got := d.ask(t, framework.User{}, http.MethodGet, path, "", root)
			if got.code != d.stranger || got.code == http.StatusForbidden && !strings.Contains(got.body, "system:anonymous") {
				t.Errorf("answered %d, want %d, and where it is 403 to system:anonymous: %s", got.code, d.stranger, got.body)
			}
		})
	})
}
