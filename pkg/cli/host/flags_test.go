// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"garret.dev/garret/pkg/cli/kubeconfig"
)

const config = `apiVersion: v1
kind: Config
current-context: garret_demo_team-b_host
clusters:
- name: host
  cluster: {server: "https://10.0.0.1:6443"}
- name: inside
  cluster: {server: "https://10.0.0.1:6443/apis/tenancy.garret.dev/v1/namespaces/team-b/virtualclusters/demo/proxy"}
contexts:
- name: host
  context: {cluster: host, user: alice, namespace: team-a}
- name: garret_demo_team-b_host
  context:
    cluster: inside
    user: alice
    extensions:
    - name: garret.dev/virtual-cluster
      extension: {hostContext: host, namespace: team-b, name: demo}
- name: orphan
  context:
    cluster: inside
    user: alice
    extensions:
    - name: garret.dev/virtual-cluster
      extension: {hostContext: gone, namespace: team-b, name: demo}
users:
- name: alice
  user: {token: secret}
`

func parse(t *testing.T, content string, args ...string) *Flags {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", file)
	flags, set := NewFlags(), pflag.NewFlagSet("test", pflag.ContinueOnError)
	set.SetNormalizeFunc(Normalize)
	flags.AddTo(set)
	if err := set.Parse(args); err != nil {
		t.Fatal(err)
	}
	return flags
}

func TestCluster(t *testing.T) {
	inside := &kubeconfig.Link{HostContext: "host", Namespace: "team-b", Name: "demo"}
	tests := map[string]struct {
		args               []string
		context, namespace string
		entered            *kubeconfig.Link
	}{
		"current context leads into a virtual cluster": {nil, "host", "team-a", inside},
		"named context of the host":                    {[]string{"--context", "host"}, "host", "team-a", nil},
		"namespace":                                    {[]string{"-n", "team-c"}, "host", "team-c", inside},
		"space":                                        {[]string{"--space=team-c"}, "host", "team-c", inside},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cluster, err := parse(t, config, test.args...).Cluster()
			if err != nil {
				t.Fatal(err)
			}
			if cluster.Context != test.context || cluster.Namespace != test.namespace {
				t.Errorf("got context %s and namespace %s, want %s and %s", cluster.Context, cluster.Namespace, test.context, test.namespace)
			}
			if cluster.Config.Host != "https://10.0.0.1:6443" {
				t.Errorf("clients would talk to %s, want the host itself", cluster.Config.Host)
			}
			if (cluster.Entered == nil) != (test.entered == nil) || cluster.Entered != nil && *cluster.Entered != *test.entered {
				t.Errorf("entered %v, want %v", cluster.Entered, test.entered)
			}
		})
	}
}

func TestClusterErrors(t *testing.T) {
	tests := map[string]struct {
		content string
		args    []string
		want    string
	}{
		"no kubeconfig":             {"", nil, "--kubeconfig"},
		"host's context is missing": {config, []string{"--context", "orphan"}, "--context"},
		"no such context":           {config, []string{"--context", "nope"}, "get-contexts"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, test.content, test.args...).Cluster()
			var advice *Advice
			if !errors.As(err, &advice) || !strings.Contains(advice.Remedy, test.want) {
				t.Errorf("got %v, want a remedy with %s", err, test.want)
			}
		})
	}
}

func TestLink(t *testing.T) {
	cluster, err := parse(t, config, "--as", "bob").Cluster()
	if err != nil {
		t.Fatal(err)
	}
	if link, err := cluster.Link("team-a", "demo"); err == nil {
		t.Errorf("%v leaves out whom to impersonate", link)
	}
	if _, err := (&Cluster{}).Link("team-a", "demo"); err == nil {
		t.Error("a link without a context of the host")
	}
}
