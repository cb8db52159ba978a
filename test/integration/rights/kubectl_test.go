// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// kubectl is it in the caller's hands. What the server has is the same for all of them.
func (c *caller) kubectl(t *testing.T) framework.Client {
	t.Helper()
	cache := filepath.Join(filepath.Dir(shared.host.Kubeconfig), "cache")
	return c.Client(t, c.config.Host, c.config.CAData).With("KUBECACHEDIR=" + cache)
}

// impersonated is the host's administrator in the caller's place.
func (c *caller) impersonated(t *testing.T) kubernetes.Interface {
	t.Helper()
	config := rest.CopyConfig(shared.host.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: c.Name, Groups: c.Groups}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// canI is what kubectl auth can-i says.
func canI(t *testing.T, kubectl framework.Client, r right, p place) bool {
	t.Helper()
	args := []string{"auth", "can-i", r.verb, "virtualclusters." + v1.GroupName + "/" + p.Name, "-n", p.Namespace}
	if p.Name == "" {
		args[3] = strings.TrimSuffix(args[3], "/")
	}
	if r.subresource != "" {
		args = append(args, "--subresource="+r.subresource)
	}
	output, err := kubectl.Output(args...)
	answer := strings.Fields(output)
	if len(answer) == 0 || (answer[0] != "yes" && answer[0] != "no") || (err == nil) != (answer[0] == "yes") {
		t.Errorf("kubectl %s: got %q, %v; want yes or no, and an exit code that says the same", strings.Join(args, " "), output, err)
	}
	return err == nil
}

// TestCanI asks kubectl with the credential of the caller, and the host as its
// administrator in the caller's place, and wants the answer that doing gives.
func TestCanI(t *testing.T) {
	openInside(t)
	for i, g := range chosen() {
		t.Run(g.String(), func(t *testing.T) {
			t.Parallel()
			c := newCaller(t, g.kind, fmt.Sprintf("can-i-%d", i))
			g.give(t, c)
			own, impersonated := c.kubectl(t), c.impersonated(t)
			a := actions[slices.IndexFunc(actions, func(a action) bool { return slices.Equal(a.needs, g.rights) })]
			for n, p := range a.places {
				_, err := c.do(t.Context(), a, p)
				done := err == nil
				if got, refused := allowed(t.Context(), impersonated, a.needs[0], p); got != done || refused != nil {
					t.Errorf("%s in %q: impersonated it is %t, %v; doing it gives %v", a.name, p, got, refused, err)
				}
				// In between, kubectl makes the same of what it is given.
				if n > 0 && n < len(a.places)-1 {
					continue
				}
				if got := canI(t, own, a.needs[0], p); got != done {
					t.Errorf("%s in %q: kubectl auth can-i says %t, doing it gives %v", a.name, p, got, err)
				}
			}
			wantListed(t, own, g)
		})
	}
}

// wantListed wants kubectl auth can-i --list to show the grant, and no other right on our kinds.
func wantListed(t *testing.T, kubectl framework.Client, g grant) {
	t.Helper()
	output, err := kubectl.Output("auth", "can-i", "--list", "-n", here.Namespace)
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
	shared.host.BindClusterRole(t, c.User, here.Namespace, "view")
	c.await(t, roles["view"])
	own := c.kubectl(t)
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
		output, err := own.Output(test.args...)
		if (err != nil) != test.fail || !strings.Contains(output, test.want) {
			t.Errorf("kubectl %s: got %q, %v; want %q", strings.Join(test.args, " "), output, err, test.want)
		}
	}
}
