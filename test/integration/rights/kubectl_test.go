// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/integration/framework"
)

// kubeconfig writes one with the caller's own credential.
func (c *caller) kubeconfig(t *testing.T) string {
	t.Helper()
	content, err := framework.Kubeconfig(c.config.Host, c.config.CAData, clientcmdapi.AuthInfo{
		Token: c.config.BearerToken, ClientCertificateData: c.config.CertData, ClientKeyData: c.config.KeyData,
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// impersonation is how the host's administrator takes the caller's place.
func (c *caller) impersonation() []string {
	switch c.subject.Kind {
	case rbacv1.GroupKind:
		return []string{"--as=somebody", "--as-group=" + c.subject.Name}
	case rbacv1.ServiceAccountKind:
		return []string{"--as=system:serviceaccount:" + c.subject.Namespace + ":" + c.subject.Name}
	}
	return []string{"--as=" + c.subject.Name}
}

// canI is what kubectl auth can-i says, with what it is given to say it of.
func canI(t *testing.T, kubeconfig string, r right, p place, more ...string) bool {
	t.Helper()
	args := append([]string{"auth", "can-i", r.verb, "virtualclusters." + v1.GroupName + "/" + p.Name, "-n", p.Namespace}, more...)
	if p.Name == "" {
		args[3] = strings.TrimSuffix(args[3], "/")
	}
	if r.subresource != "" {
		args = append(args, "--subresource="+r.subresource)
	}
	output, err := framework.Kubectl(t, kubeconfig, "", args...)
	answer := strings.Fields(output)
	if len(answer) == 0 || (answer[0] != "yes" && answer[0] != "no") || (err == nil) != (answer[0] == "yes") {
		t.Errorf("kubectl %s: got %q, %v; want yes or no, and an exit code that says the same", strings.Join(args, " "), output, err)
	}
	return err == nil
}

// TestCanI asks kubectl, with the credential of the caller and as the host's
// administrator in the caller's place, and wants the answer that doing gives.
func TestCanI(t *testing.T) {
	kinds := []string{rbacv1.UserKind, rbacv1.GroupKind, rbacv1.ServiceAccountKind}
	ways := []struct{ role, binding string }{{"Role", "RoleBinding"}, {"ClusterRole", "ClusterRoleBinding"}, {"ClusterRole", "RoleBinding"}}
	for i, row := range rows {
		if len(row.rights) > 1 {
			continue
		}
		// All pairs of kind, way and name come up, each in several rows.
		kind, way := kinds[i%3], ways[i/2%3]
		g := grant{row.rights, way.role, way.binding, i/3%2 == 0}
		t.Run(fmt.Sprintf("%s/%s to a %s", row.rights[0], g, kind), func(t *testing.T) {
			t.Parallel()
			name := fmt.Sprintf("can-i-%d", i)
			c := newCaller(t, kind, name)
			g.give(t, name, c)
			own := c.kubeconfig(t)
			for _, a := range actions {
				if len(a.needs) > 1 || a.needs[0] != row.rights[0] {
					continue
				}
				for _, p := range a.places {
					if p.Namespace == "" {
						continue
					}
					_, err := c.do(t.Context(), a, p)
					done := err == nil
					if got := canI(t, own, a.needs[0], p); got != done {
						t.Errorf("%s in %q: kubectl auth can-i says %t, doing it gives %v", a.name, p, got, err)
					}
					if p != here && p != wholeNamespace {
						continue
					}
					if got := canI(t, shared.host.Kubeconfig, a.needs[0], p, c.impersonation()...); got != done {
						t.Errorf("%s in %q: kubectl auth can-i %v says %t, doing it gives %v", a.name, p, c.impersonation(), got, err)
					}
				}
				break
			}
			c.wantListed(t, own, g)
		})
	}
}

// wantListed wants kubectl auth can-i --list to show the grant, and no other right on our kinds.
func (c *caller) wantListed(t *testing.T, kubeconfig string, g grant) {
	t.Helper()
	output, err := framework.Kubectl(t, kubeconfig, "", "auth", "can-i", "--list", "-n", here.Namespace)
	if err != nil {
		t.Fatalf("can-i --list: %v: %s", err, output)
	}
	resource := "virtualclusters." + v1.GroupName
	if g.rights[0].subresource != "" {
		resource += "/" + g.rights[0].subresource
	}
	// Each name stands in a line of its own.
	names := []string{""}
	if g.byName {
		names = []string{here.Name, newObject.Name}
	}
	var want []string
	for _, name := range names {
		want = append(want, fmt.Sprintf("%s [] [%s] [%s]", resource, name, g.rights[0].verb))
	}
	var got []string
	for line := range strings.Lines(output) {
		if strings.HasPrefix(line, "virtualclusters."+v1.GroupName) {
			got = append(got, strings.Join(regexp.MustCompile(`  +`).Split(strings.TrimSpace(line), -1), " "))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("can-i --list: got %q, want %q", got, want)
	}
}

// TestKubectlOfAViewer is what docs/rbac.md says of those who hold the host's view.
func TestKubectlOfAViewer(t *testing.T) {
	t.Parallel()
	c := newCaller(t, rbacv1.UserKind, "viewer")
	bind(t, "ClusterRole", "view", "RoleBinding", c)
	framework.Eventually(t, "the host knows of the role", func(ctx context.Context) (bool, error) { return c.mayAll(ctx, roles["view"]) })
	own := c.kubeconfig(t)
	for _, test := range []struct {
		args []string
		want string
		fail bool
	}{
		{[]string{"get", "vc", "-n", "red"}, "one ", false},
		{[]string{"get", "vc", "-n", "red", "-o", "yaml"}, "phase: Ready", false},
		{[]string{"get", "vc", "-n", "red", "--field-selector", "metadata.name=two"}, "two ", false},
		{[]string{"get", "vc", "-n", "red", "one"}, `Error from server (Forbidden): virtualclusters.tenancy.garret.dev "one" is forbidden: User "viewer" cannot get resource`, true},
		{[]string{"get", "vc", "-n", "blue"}, "(Forbidden)", true},
		{[]string{"get", "vc", "-A"}, "(Forbidden)", true},
		{[]string{"delete", "vc", "-n", "red", "--all", "--dry-run=server"}, "(Forbidden)", true},
	} {
		output, err := framework.Kubectl(t, own, "", test.args...)
		if (err != nil) != test.fail || !strings.Contains(output, test.want) {
			t.Errorf("kubectl %s: got %q, %v; want %q", strings.Join(test.args, " "), output, err, test.want)
		}
	}
}
