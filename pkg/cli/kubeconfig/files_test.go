// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package kubeconfig

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
)

const (
	secretToken = "very-secret-token"
	hostFile    = `apiVersion: v1
kind: Config
current-context: host
clusters:
- name: host
  cluster:
    server: https://10.0.0.1:6443/gateway/
    certificate-authority: pki/ca.crt
    proxy-url: socks5://127.0.0.1:1080
    extensions:
    - name: client.authentication.k8s.io/exec
      extension: {audience: host}
contexts:
- name: host
  context: {cluster: host, user: alice, namespace: team-a}
users:
- name: alice
  user: {token: ` + secretToken + `}
`
	otherFile = `apiVersion: v1
kind: Config
current-context: other
clusters:
- name: other
  cluster: {server: "https://10.0.0.2:6443"}
contexts:
- name: other
  context: {cluster: other, user: bob}
users:
- name: bob
  user: {token: another-token}
`
)

func demo(host string) Link { return Link{HostContext: host, Namespace: "team-a", Name: "demo"} }

// write makes kubeconfig files of these contents and rules that read them in order.
func write(t *testing.T, contents ...string) (Files, []string) {
	t.Helper()
	rules := &clientcmd.ClientConfigLoadingRules{}
	for i, content := range contents {
		file := filepath.Join(t.TempDir(), "config"+string(rune('0'+i)))
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		rules.Precedence = append(rules.Precedence, file)
	}
	return NewFiles(rules), rules.Precedence
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestConnect(t *testing.T) {
	files, names := write(t, hostFile)
	link := demo("host")
	if err := files.Connect(t.Context(), link); err != nil {
		t.Fatal(err)
	}
	merged, err := files.Load()
	if err != nil {
		t.Fatal(err)
	}
	name := "garret_demo_team-a_host"
	if merged.CurrentContext != name {
		t.Errorf("current context is %q, want %q", merged.CurrentContext, name)
	}
	entry, cluster := merged.Contexts[name], merged.Clusters[name]
	if entry == nil || cluster == nil {
		t.Fatalf("no context and cluster %s in:\n%s", name, read(t, names[0]))
	}
	if entry.AuthInfo != "alice" {
		t.Errorf("user is %q, want the host's own, alice", entry.AuthInfo)
	}
	if entry.Namespace != "" {
		t.Errorf("namespace %q of the host was taken inside", entry.Namespace)
	}
	if got, ok := LinkOf(entry); !ok || got != link {
		t.Errorf("link read back is %v, want %v", got, link)
	}
	const server = "https://10.0.0.1:6443/gateway/apis/tenancy.garret.dev/v1/namespaces/team-a/virtualclusters/demo/proxy"
	if cluster.Server != server {
		t.Errorf("server is %s, want %s", cluster.Server, server)
	}
	if want := filepath.Join(filepath.Dir(names[0]), "pki/ca.crt"); cluster.CertificateAuthority != want {
		t.Errorf("certificate authority is %s, want %s", cluster.CertificateAuthority, want)
	}
	if cluster.ProxyURL == "" || cluster.Extensions["client.authentication.k8s.io/exec"] == nil {
		t.Errorf("the host's proxy or extension is lost: %+v", cluster)
	}
	if n := strings.Count(read(t, names[0]), secretToken); n != 1 {
		t.Errorf("the token stands %d times in the file, want once", n)
	}
	if info, err := os.Stat(names[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v (%v), want 0600", info.Mode(), err)
	}
	// The relative path of the host's own entry is not ours to rewrite.
	if raw, err := clientcmd.LoadFromFile(names[0]); err != nil || raw.Clusters["host"].CertificateAuthority != "pki/ca.crt" {
		t.Errorf("the host's entry was changed (%v)", err)
	}
}

func TestConnectThroughAGateway(t *testing.T) {
	const proxy = "    proxy-url:"
	files, names := write(t, strings.Replace(hostFile, proxy, "    insecure-skip-tls-verify: true\n    tls-server-name: kubernetes\n"+proxy, 1))
	link := demo("host")
	link.Gateway = &Gateway{URL: "https://gateway.example.com:8443/garret/", CertificateAuthority: []byte("the gateway's")}
	if err := files.Connect(t.Context(), link); err != nil {
		t.Fatal(err)
	}
	merged, err := files.Load()
	if err != nil {
		t.Fatal(err)
	}
	entry, cluster := merged.Contexts[link.ContextName()], merged.Clusters[link.ContextName()]
	if entry.AuthInfo != "alice" || cluster.Server != "https://gateway.example.com:8443/garret/clusters/team-a/demo" {
		t.Errorf("%s goes to %s, want alice and the gateway", entry.AuthInfo, cluster.Server)
	}
	if string(cluster.CertificateAuthorityData) != "the gateway's" || cluster.CertificateAuthority != "" || cluster.InsecureSkipTLSVerify || cluster.TLSServerName != "" {
		t.Errorf("the gateway is verified as the host is: %+v", cluster)
	}
	if !merged.Clusters["host"].InsecureSkipTLSVerify {
		t.Error("the host's entry was changed")
	}
	if got, ok := LinkOf(entry); !ok || got != demo("host") {
		t.Errorf("link read back is %v, want the same virtual cluster and host", got)
	}
	if n := strings.Count(read(t, names[0]), secretToken); n != 1 {
		t.Errorf("the token stands %d times in the file, want once", n)
	}
	for _, url := range []string{"http://gateway.example.com", "gateway.example.com", "https://", "https://u:p@gateway.example.com", "https://gateway.example.com?x=y"} {
		link.Gateway.URL = url
		if err := files.Connect(t.Context(), link); err == nil || !strings.Contains(err.Error(), "https://HOST:PORT") {
			t.Errorf("%s: got %v, want it refused", url, err)
		}
	}
}

func TestConnectAgainChangesNothing(t *testing.T) {
	files, names := write(t, hostFile)
	if err := files.Connect(t.Context(), demo("host")); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(names[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := files.Connect(t.Context(), demo("host")); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(names[0])
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, after) {
		t.Error("the file was replaced by an equal one")
	}
}

// With several files, each entry belongs where its host's is, and the current
// context where it is in force.
func TestSeveralFiles(t *testing.T) {
	files, names := write(t, otherFile, hostFile)
	if err := files.Connect(t.Context(), demo("host")); err != nil {
		t.Fatal(err)
	}
	first, second := read(t, names[0]), read(t, names[1])
	if strings.Contains(first, "/proxy") || strings.Contains(first, secretToken) {
		t.Errorf("entries went to the file of another cluster:\n%s", first)
	}
	if !strings.Contains(second, "/proxy") {
		t.Errorf("no entry in the file of the host:\n%s", second)
	}
	if !strings.Contains(first, "current-context: garret_demo_team-a_host") {
		t.Errorf("the current context in force was not changed:\n%s", first)
	}
	if !strings.Contains(second, "current-context: host") {
		t.Errorf("a current context that is not in force was changed:\n%s", second)
	}
	if err := files.SetCurrent(t.Context(), "host"); err != nil {
		t.Fatal(err)
	}
	if merged, err := files.Load(); err != nil || merged.CurrentContext != "host" {
		t.Errorf("current context is %q (%v), want host", merged.CurrentContext, err)
	}
}

func TestRemove(t *testing.T) {
	files, names := write(t, hostFile)
	for _, name := range []string{"kept", "demo"} {
		if err := files.Connect(t.Context(), Link{HostContext: "host", Namespace: "team-a", Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	removed, err := files.Remove(t.Context(), func(link Link) bool { return link == demo("host") })
	if err != nil || removed != 1 {
		t.Fatalf("removed %d (%v), want 1", removed, err)
	}
	merged, err := files.Load()
	if err != nil {
		t.Fatal(err)
	}
	if merged.CurrentContext != "host" {
		t.Errorf("current context is %q, want the host's", merged.CurrentContext)
	}
	if len(merged.Contexts) != 2 || len(merged.Clusters) != 2 || len(merged.AuthInfos) != 1 {
		t.Errorf("left over:\n%s", read(t, names[0]))
	}
}

func TestDerive(t *testing.T) {
	files, names := write(t, hostFile)
	before := read(t, names[0])
	derived, err := files.Derive(demo("host"))
	if err != nil {
		t.Fatal(err)
	}
	content, err := clientcmd.Write(*derived)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(content), secretToken) || len(derived.AuthInfos) != 0 {
		t.Errorf("a credential was copied:\n%s", content)
	}
	if read(t, names[0]) != before {
		t.Error("the kubeconfig was changed")
	}
}

func TestErrors(t *testing.T) {
	broken := strings.Replace(hostFile, "https://10.0.0.1:6443/gateway/", "10.0.0.1", 1)
	lost := strings.Replace(hostFile, "{cluster: host,", "{cluster: gone,", 1)
	tests := map[string]struct{ content, context, want string }{
		"no such context":            {hostFile, "nope", `no context "nope"`},
		"cluster entry is missing":   {lost, "host", `cluster "gone"`},
		"server is not a URL":        {broken, "host", `"10.0.0.1"`},
		"the file is not kubeconfig": {"{", "host", "yaml"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			files, names := write(t, test.content)
			err := files.Connect(t.Context(), demo(test.context))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %s", err, test.want)
			}
			if read(t, names[0]) != test.content {
				t.Error("the file was changed all the same")
			}
		})
	}
}

func TestLinkOfOthersContexts(t *testing.T) {
	const foreign = `apiVersion: v1
kind: Config
contexts:
- name: garret_looks_like_ours
  context: {cluster: c, user: u}
- name: other-extension
  context: {cluster: c, user: u, extensions: [{name: minikube, extension: {a: b}}]}
- name: incomplete
  context: {cluster: c, user: u, extensions: [{name: garret.dev/virtual-cluster, extension: {name: x}}]}
- name: not-an-object
  context: {cluster: c, user: u, extensions: [{name: garret.dev/virtual-cluster, extension: text}]}
`
	files, _ := write(t, foreign)
	merged, err := files.Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(merged.Contexts) != 4 {
		t.Fatalf("%d contexts, want 4", len(merged.Contexts))
	}
	for name, entry := range merged.Contexts {
		if link, ok := LinkOf(entry); ok {
			t.Errorf("%s is taken for %v", name, link)
		}
	}
	if _, ok := LinkOf(nil); ok {
		t.Error("no context is taken for one of ours")
	}
}
