// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

// insider has a token of the virtual cluster, which is nothing to the host.
func insider(t *testing.T) caller {
	t.Helper()
	token, err := shared.virtual.Client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).CreateToken(t.Context(), "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return caller{AuthInfo: clientcmdapi.AuthInfo{Token: token.Status.Token}}
}

// frontProxy has the certificate with which the host's API server introduces callers.
func frontProxy(t *testing.T) caller {
	t.Helper()
	read := func(file string) []byte {
		content, err := os.ReadFile(filepath.Join(shared.host.Dir, "server/tls", file))
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	return caller{AuthInfo: clientcmdapi.AuthInfo{
		ClientCertificateData: read("client-auth-proxy.crt"), ClientKeyData: read("client-auth-proxy.key"),
	}}
}

func TestIdentity(t *testing.T) {
	get := to("get", "virtualclusters", name)
	enter := []rbacv1.PolicyRule{get, to("create", "virtualclusters/proxy", name)}
	for who, tc := range map[string]struct {
		caller caller
		header http.Header
		user   string
		groups []string
	}{
		"a ServiceAccount": {
			caller: account(t, "who").may(t, namespace, get), user: "host:system:serviceaccount:elsewhere:who",
			groups: []string{v1.GroupViewers, "host:system:serviceaccounts", "host:system:serviceaccounts:elsewhere", "host:system:authenticated"},
		},
		"a client certificate": {
			caller: certified(t, "alice", "dev").may(t, namespace, enter...), user: "host:alice",
			groups: []string{v1.GroupAdmins, "host:dev", "host:system:authenticated"},
		},
		"an administrator of the host": {
			caller: certified(t, "root", "system:masters"), user: "host:root",
			groups: []string{v1.GroupAdmins, "host:system:masters", "host:system:authenticated"},
		},
		"the host's front proxy": {
			caller: frontProxy(t), header: http.Header{"X-Remote-User": {"bob"}, "X-Remote-Group": {"dev"}}, user: "host:bob",
			groups: []string{v1.GroupViewers, "host:dev", "host:system:authenticated"},
		},
		"headers of a front proxy, from somebody else": {
			caller: certified(t, "carol", "dev").may(t, namespace, get), header: http.Header{"X-Remote-User": {"root"}, "X-Remote-Group": {"system:masters"}},
			user: "host:carol", groups: []string{v1.GroupViewers, "host:dev", "host:system:authenticated"},
		},
		"headers of a front proxy, with a token": {
			caller: account(t, "pretender").may(t, namespace, get), header: http.Header{"X-Remote-User": {"root"}, "X-Remote-Group": {"system:masters"}},
			user:   "host:system:serviceaccount:elsewhere:pretender",
			groups: []string{v1.GroupViewers, "host:system:serviceaccounts", "host:system:serviceaccounts:elsewhere", "host:system:authenticated"},
		},
		"who may impersonate on the host": {
			caller: certified(t, "root", "system:masters"), header: http.Header{"Impersonate-User": {"dave"}, "Impersonate-Group": {"dev"}}, user: "host:dave",
			groups: []string{v1.GroupViewers, "host:dev", "host:system:authenticated"},
		},
		"who names themself in another spelling": {
			caller: certified(t, "eve", "dev").may(t, namespace, get), header: http.Header{"Impersonate_user": {"root"}, "X_remote_user": {"root"}},
			user: "host:eve", groups: []string{v1.GroupViewers, "host:dev", "host:system:authenticated"},
		},
	} {
		t.Run(who, func(t *testing.T) {
			if tc.caller.user == "" || tc.header.Get("Impersonate-User") != "" {
				caller{user: strings.TrimPrefix(tc.user, v1.HostUserPrefix)}.may(t, namespace, get)
			}
			user, groups := tc.caller.whoami(t, tc.header)
			// The API server inside adds the group that all have.
			want := append(slices.Clone(tc.groups), "system:authenticated")
			if user != tc.user || !reflect.DeepEqual(groups, want) {
				t.Errorf("inside it is %s in %q, want %s in %q", user, groups, tc.user, want)
			}
		})
	}
}

// TestNoOtherIdentity has callers claim to be somebody whom they are not.
func TestNoOtherIdentity(t *testing.T) {
	const path = "/clusters/team/demo/api/v1/secrets"
	reader := account(t, "claimant").may(t, namespace, to("get", "virtualclusters", name))
	for claim, header := range map[string]http.Header{
		"impersonation":                {"Impersonate-User": {"system:admin"}, "Impersonate-Group": {"system:masters"}},
		"impersonation of a group":     {"Impersonate-Group": {"system:masters"}},
		"impersonation of an account":  {"Impersonate-User": {"system:serviceaccount:kube-system:default"}},
		"impersonation of what inside": {"Impersonate-User": {"garret:relay"}},
		"a front proxy's":              {"X-Remote-User": {"system:admin"}, "X-Remote-Group": {"system:masters"}},
		"dropped on the way":           {"Connection": {"Impersonate-User, Impersonate-Group"}},
	} {
		t.Run(claim, func(t *testing.T) {
			// As a reader one may not read secrets; as anybody named here one might.
			if code, body := reader.ask(t, http.MethodGet, path, "", header); code != http.StatusForbidden && code != http.StatusBadRequest {
				t.Errorf("answered %d, want a refusal: %s", code, body)
			}
		})
	}
	t.Run("a front proxy's, of nobody", func(t *testing.T) {
		header := http.Header{"X-Remote-User": {"system:admin"}, "X-Remote-Group": {"system:masters"}}
		if code, body := (caller{}).ask(t, http.MethodGet, path, "", header); code != http.StatusForbidden || !strings.Contains(body, "system:anonymous") {
			t.Errorf("answered %d, want 403 to system:anonymous: %s", code, body)
		}
	})
}
