// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"

	"garret.dev/garret/syncer/access"
	"garret.dev/garret/syncer/pki"
	"garret.dev/garret/syncer/pki/pkitest"
)

// grantFor is one for this key.
func grantFor(t *testing.T, key crypto.Signer, user, role string) *tenancyv1.KubeconfigGrant {
	t.Helper()
	id, err := tenancyv1.CredentialID(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return &tenancyv1.KubeconfigGrant{ID: id, HostUser: user, ClusterRole: role}
}

// ask sends a request by garret-apiserver for the subject.
func (f *fixture) ask(t *testing.T, key crypto.Signer, subject pkix.Name, grant *tenancyv1.KubeconfigGrant, dryRun bool) (*x509.Certificate, int, string) {
	t.Helper()
	body, err := json.Marshal(tenancyv1.CertificateRequest{
		Request:           pkitest.Request(t, x509.CertificateRequest{Subject: subject}, key),
		ExpirationSeconds: 600, Kubeconfig: grant, DryRun: dryRun,
	})
	if err != nil {
		t.Fatal(err)
	}
	if !dryRun {
		return f.postRaw(t, f.apiServer(t), body)
	}
	answer, err := f.apiServer(t).Post(f.url, "application/json", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var response tenancyv1.CertificateResponse
	if answer.StatusCode == http.StatusOK && (json.NewDecoder(answer.Body).Decode(&response) != nil || len(response.Certificate) > 0) {
		t.Errorf("a dry run was answered with %+v, want nothing", response)
	}
	return nil, answer.StatusCode, ""
}

// TestSubjects is about which names come out, and that no binding is made for those that do not.
func TestSubjects(t *testing.T) {
	type names struct {
		user   string
		groups []string
	}
	right := func(g *tenancyv1.KubeconfigGrant) names { return names{g.User(), []string{g.Group()}} }
	as := func(user string, groups ...string) func(*tenancyv1.KubeconfigGrant) names {
		return func(*tenancyv1.KubeconfigGrant) names { return names{user, groups} }
	}
	for _, test := range []struct {
		name string
		// user and role are those of a kubeconfig's grant; no user, no grant.
		user, role string
		asked      func(*tenancyv1.KubeconfigGrant) names
		code       int
	}{
		{"relay", "", "", as("garret:relay"), 200},
		{"relay with a group", "", "", as("garret:relay", "garret:admins"), 403},
		{"relay as system:masters", "", "", as("garret:relay", "system:masters"), 403},
		{"host user without a grant", "", "", as("host:alice"), 403},
		{"host user without a grant, as administrator", "", "", as("host:alice", "garret:admins"), 403},
		{"group of a kubeconfig without a grant", "", "", as("garret:relay", "garret:kubeconfig:0123456789abcdef"), 403},
		{"system user", "", "", as("system:admin"), 403},
		{"the API server", "", "", as("system:apiserver", "system:masters"), 403},
		{"somebody inside", "", "", as("alice"), 403},
		{"almost the relay", "", "", as("garret:relay2"), 403},
		{"nobody", "", "", as(""), 403},

		{"kubeconfig", "alice", "", right, 200},
		{"kubeconfig held to a role", "alice", "edit", right, 200},
		{"kubeconfig of a service account", "system:serviceaccount:a:b", "edit", right, 200},
		{"kubeconfig held to a role that is not there", "alice", "nothing", right, 422},
		{"kubeconfig held to what no role is called", "alice", "../edit", right, 422},
		{"kubeconfig held to a role, as its owner", "alice", "edit", func(g *tenancyv1.KubeconfigGrant) names {
			return names{"host:alice", []string{g.Group()}}
		}, 403},
		{"kubeconfig of somebody else", "alice", "", func(g *tenancyv1.KubeconfigGrant) names {
			return names{"host:bob", []string{g.Group()}}
		}, 403},
		{"kubeconfig as relay", "alice", "", as("garret:relay"), 403},
		{"kubeconfig as system user", "alice", "", func(g *tenancyv1.KubeconfigGrant) names {
			return names{"system:admin", []string{g.Group()}}
		}, 403},
		{"kubeconfig in system:masters", "alice", "", func(g *tenancyv1.KubeconfigGrant) names {
			return names{g.User(), []string{g.Group(), "system:masters"}}
		}, 403},
		{"kubeconfig in the group of administrators", "alice", "", func(g *tenancyv1.KubeconfigGrant) names {
			return names{g.User(), []string{"garret:admins"}}
		}, 403},
		{"kubeconfig in the group of another", "alice", "", func(g *tenancyv1.KubeconfigGrant) names {
			return names{g.User(), []string{"garret:kubeconfig:0123456789abcdef"}}
		}, 403},
		{"kubeconfig in no group", "alice", "", func(g *tenancyv1.KubeconfigGrant) names { return names{g.User(), nil} }, 403},
		{"a name with a line break", "alice\nbob", "", right, 403},
		{"a name that begins with a space", " alice", "", right, 403},
		{"a very long name", strings.Repeat("a", 600), "", right, 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, key := start(t), ecKey(t, elliptic.P256())
			grant := &tenancyv1.KubeconfigGrant{}
			var sent *tenancyv1.KubeconfigGrant
			if test.user != "" {
				grant = grantFor(t, key, test.user, test.role)
				sent = grant
			}
			want := test.asked(grant)
			certificate, code, message := f.ask(t, key, pkix.Name{CommonName: want.user, Organization: want.groups}, sent, false)
			if code != test.code {
				t.Fatalf("got code %d (%s), want %d", code, message, test.code)
			}
			if wantBindings := certificate != nil && sent != nil; len(f.bindings(t)) > 0 != wantBindings {
				t.Errorf("got bindings %v, want some: %v", f.bindings(t), wantBindings)
			}
			if certificate == nil {
				return
			}
			if got := certificate.Subject; got.CommonName != want.user || !slices.Equal(got.Organization, want.groups) {
				t.Errorf("got subject %s, want user %s in %v", got, want.user, want.groups)
			}
			options := x509.VerifyOptions{Roots: f.dir.Client.Pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
			if _, err := certificate.Verify(options); err != nil {
				t.Errorf("not verified by the authority of clients: %v", err)
			}
		})
	}
}

func TestBinding(t *testing.T) {
	for role, bound := range map[string]string{"": "cluster-admin", "edit": "edit"} {
		t.Run("role "+role, func(t *testing.T) {
			f, key := start(t), ecKey(t, elliptic.P256())
			grant := grantFor(t, key, "alice", role)
			subject := pkix.Name{CommonName: grant.User(), Organization: []string{grant.Group()}}
			certificate, code, message := f.ask(t, key, subject, grant, false)
			if certificate == nil {
				t.Fatalf("got code %d: %s", code, message)
			}
			got := f.bindings(t)
			if len(got) != 1 {
				t.Fatalf("got bindings %v, want one", got)
			}
			want := rbacv1.ClusterRoleBinding{
				ObjectMeta: metav1.ObjectMeta{
					Name:   "garret:kubeconfig:" + grant.ID,
					Labels: map[string]string{"tenancy.garret.dev/access": "kubeconfig"},
					Annotations: map[string]string{
						"tenancy.garret.dev/host-user": "alice",
						"tenancy.garret.dev/expires":   certificate.NotAfter.UTC().Format(time.RFC3339),
					},
				},
				Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "garret:kubeconfig:" + grant.ID}},
				RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: bound},
			}
			got[0].ManagedFields, got[0].TypeMeta = nil, metav1.TypeMeta{}
			gotJSON, _ := json.Marshal(got[0])
			wantJSON, _ := json.Marshal(want)
			if string(gotJSON) != string(wantJSON) {
				t.Errorf("got binding\n%s\nwant\n%s", gotJSON, wantJSON)
			}
		})
	}
}

// TestIDs is about ids that are not the key's, and those that are in use.
func TestIDs(t *testing.T) {
	f, key, other := start(t), ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256())
	mine, theirs := grantFor(t, key, "alice", ""), grantFor(t, other, "bob", "")
	ask := func(grant *tenancyv1.KubeconfigGrant) int {
		_, code, _ := f.ask(t, key, pkix.Name{CommonName: grant.User(), Organization: []string{grant.Group()}}, grant, false)
		return code
	}
	for _, id := range []string{"", "0123456789abcdef", theirs.ID, strings.ToUpper(mine.ID) + "x", mine.ID[:10], mine.ID + ":x"} {
		if code := ask(&tenancyv1.KubeconfigGrant{ID: id, HostUser: "alice"}); code != http.StatusForbidden {
			t.Errorf("id %q, which is not the key's: got code %d, want 403", id, code)
		}
	}
	if code := ask(mine); code != http.StatusOK {
		t.Fatalf("first time: got code %d, want 200", code)
	}
	if code := ask(mine); code != http.StatusConflict {
		t.Errorf("second time: got code %d, want 409", code)
	}
	if got := f.bindings(t); len(got) != 1 {
		t.Errorf("got bindings %v, want the first alone", got)
	}
}

// TestForgedBinding has somebody inside make the binding before.
func TestForgedBinding(t *testing.T) {
	f, key := start(t), ecKey(t, elliptic.P256())
	grant := grantFor(t, key, "alice", "edit")
	forged := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: grant.Group()}, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "cluster-admin"}}
	if _, err := f.virtual.RbacV1().ClusterRoleBindings().Create(t.Context(), forged, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, code, _ := f.ask(t, key, pkix.Name{CommonName: grant.User(), Organization: []string{grant.Group()}}, grant, false)
	if code != http.StatusConflict {
		t.Errorf("got code %d, want 409: it is not the issuer's", code)
	}
	if got := f.bindings(t); len(got) != 1 || got[0].RoleRef.Name != "cluster-admin" {
		t.Errorf("got bindings %v, want the forged one left as it was", got)
	}
}

func TestDryRun(t *testing.T) {
	f := start(t)
	for role, want := range map[string]int{"": 200, "edit": 200, "nothing": 422} {
		key := ecKey(t, elliptic.P256())
		grant := grantFor(t, key, "alice", role)
		if _, code, _ := f.ask(t, key, pkix.Name{CommonName: grant.User(), Organization: []string{grant.Group()}}, grant, true); code != want {
			t.Errorf("role %q: got code %d, want %d", role, code, want)
		}
	}
	if got := f.bindings(t); len(got) > 0 {
		t.Errorf("got bindings %v, want none", got)
	}
}

// TestSigningFails takes the authority's key away.
func TestSigningFails(t *testing.T) {
	f, key := start(t), ecKey(t, elliptic.P256())
	if err := os.Remove(filepath.Join(f.dir.Path, "server", "tls", "client-ca.key")); err != nil {
		t.Fatal(err)
	}
	grant := grantFor(t, key, "alice", "")
	_, code, message := f.ask(t, key, pkix.Name{CommonName: grant.User(), Organization: []string{grant.Group()}}, grant, false)
	if code != http.StatusServiceUnavailable || strings.Contains(message, f.dir.Path) {
		t.Errorf("got code %d (%s), want 503 that names no file", code, message)
	}
	if got := f.bindings(t); len(got) > 0 {
		t.Errorf("got bindings %v, want none left", got)
	}
}

// TestCallerIsGone has the connection end before the answer: nobody will have the key.
func TestCallerIsGone(t *testing.T) {
	dir, virtual := pkitest.NewDataDir(t), fake.NewClientset(role("cluster-admin"))
	issuer := &Issuer{Signer: pki.ClientAuthority(dir.Path), Rights: access.NewKubeconfigs(virtual), Clock: clock.RealClock{}}
	key := ecKey(t, elliptic.P256())
	grant := grantFor(t, key, "alice", "")
	ctx, cancel := context.WithCancel(t.Context())
	// The client inside does not notice: the binding is made.
	cancel()
	der, err := issuer.grant(ctx, &tenancyv1.CertificateRequest{Kubeconfig: grant}, pkix.Name{CommonName: grant.User()}, key.Public(), time.Hour)
	if der != nil || !apierrors.IsTimeout(err) && !apierrors.IsServerTimeout(err) {
		t.Errorf("got %d bytes, %v; want none, and a timeout", len(der), err)
	}
	if got := (&fixture{virtual: virtual}).bindings(t); len(got) > 0 {
		t.Errorf("got bindings %v, want none left", got)
	}
	made := false
	for _, action := range virtual.Actions() {
		made = made || action.GetVerb() == "create" && action.GetResource().Resource == "clusterrolebindings"
	}
	if !made {
		t.Error("no binding was made in between")
	}
}
