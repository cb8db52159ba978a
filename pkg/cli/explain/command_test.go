// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"garret.dev/garret/pkg/cli/host"
)

const proxy = "/apis/tenancy.garret.dev/v1/namespaces/team-a/virtualclusters/demo/proxy"

// inside is a virtual cluster below a path, with one pod that is explained.
func inside(below string) http.Handler {
	api := below + "/apis/explain.garret.dev/v1alpha1"
	answers := map[string]string{
		below + "/api":    `{"kind":"APIVersions","versions":["v1"]}`,
		below + "/apis":   `{"kind":"APIGroupList","apiVersion":"v1","groups":[]}`,
		below + "/api/v1": `{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"pods","singularName":"pod","shortNames":["po"],"kind":"Pod","namespaced":true,"verbs":["get"]},{"name":"nodes","singularName":"node","shortNames":["no"],"kind":"Node","verbs":["get"]},{"name":"leases","singularName":"lease","kind":"Lease","namespaced":true,"verbs":["get"]}]}`,
		api:               `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"explain.garret.dev/v1alpha1","resources":[{"name":"nodes","kind":"Explanation","verbs":["get"]},{"name":"pods","kind":"Explanation","namespaced":true,"verbs":["get"]}]}`,
		api + "/nodes/n1": `{"kind":"Explanation","apiVersion":"explain.garret.dev/v1alpha1","metadata":{"name":"n1"},"resource":"nodes","direction":"FromHost","state":"OnHost","host":{"name":"n1"}}`,
		api + "/namespaces/shop/pods/web": `{"kind":"Explanation","apiVersion":"explain.garret.dev/v1alpha1","metadata":{"name":"web","namespace":"shop"},"resource":"pods","direction":"ToHost","state":"Differs",
			"host":{"namespace":"team-a","name":"web-shop-0"},"reasons":[{"reason":"HostRefused","message":"too\u001b[31m large"}],
			"fields":[{"field":"metadata.labels[app]","hostField":"metadata.labels[tenant.garret.dev/app]","verdict":"Translated","inside":"web","host":"web","why":"its own key"},
				{"field":"spec.image","verdict":"Copied","inside":"busybox:1","host":"busybox:1"}],
			"conditions":[{"side":"host","type":"Ready","status":"False"}],"events":[{"side":"host","type":"Warning","reason":"BackOff","message":"again","last":null}],"withheld":"something"}`,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answer, found := answers[r.URL.Path]
		if !found {
			w.WriteHeader(http.StatusNotFound)
			answer = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`
		}
		fmt.Fprint(w, answer)
	})
}

func run(t *testing.T, below string, args ...string) (string, error) {
	t.Helper()
	server := httptest.NewServer(inside(below))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	content := fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: %q}}]\ncontexts: [{name: c, context: {cluster: c, namespace: team-a}}]\ncurrent-context: c\n", server.URL)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	flags := host.NewFlags()
	commands := &Commands{Program: "garret", Flags: flags, Streams: genericiooptions.IOStreams{In: &bytes.Buffer{}, Out: &out, ErrOut: &out}}
	cmd := commands.Explain()
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.SetGlobalNormalizationFunc(host.Normalize)
	flags.AddTo(cmd.PersistentFlags())
	cmd.SetArgs(append(args, "--kubeconfig", file, "--cache-dir", t.TempDir()))
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestExplain(t *testing.T) {
	for _, test := range []struct {
		name, below string
		args        []string
		want        []string
		unwanted    string
	}{
		{"inside, by a short name", "", []string{"po/web", "-n", "shop"}, []string{
			"pods shop/web is on the host, as team-a/web-shop-0, and not as it asks now", "HostRefused: too?[31m large",
			"metadata.labels[app] → [tenant.garret.dev/app]  Translated", "its own key", "1 more fields are the same on both sides", "BackOff", "not shown: something"}, "busybox"},
		{"by kind and name", "", []string{"Pod", "web", "-n", "shop", "--all"}, []string{"busybox:1", "Copied"}, "--all"},
		{"from the host, whose namespace is the context's", proxy, []string{"pods/web", "-n", "shop", "--vcluster", "demo"}, []string{"web-shop-0"}, ""},
		{"from the host, by both names", proxy, []string{"pods/web", "-n", "shop", "--vcluster", "team-a/demo", "-o", "yaml"}, []string{"state: Differs\n", "- field: metadata.labels[app]\n"}, "\t"},
		{"what is in no namespace", "", []string{"no/n1", "-o", "json"}, []string{`"direction":"FromHost"`}, ""},
		{"what is shown of the host", "", []string{"node/n1"}, []string{"nodes n1 is shown of n1 on the host"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, err := run(t, test.below, test.args...)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				if !strings.Contains(out, want) {
					t.Errorf("got %s\nwant %q in it", out, want)
				}
			}
			if test.unwanted != "" && strings.Contains(out, test.unwanted) {
				t.Errorf("got %s\nwant no %q in it", out, test.unwanted)
			}
		})
	}
}

func TestExplainAdvises(t *testing.T) {
	for _, test := range []struct {
		name, below string
		args        []string
		want        []string
	}{
		{"a host cluster", proxy, []string{"pod/web"}, []string{"does not serve explain.garret.dev", "--vcluster", "garret use vcluster NAME"}},
		{"a kind that is not synced", "", []string{"lease/web"}, []string{"objects of the kind lease are not synced", "nodes, pods"}},
		{"an object that does not exist", "", []string{"pod/none", "-n", "shop"}, []string{"there is no pod/none in namespace shop", "--namespace"}},
		{"no name", "", []string{"pod"}, []string{"KIND/NAME"}},
		{"another output", "", []string{"pod/web", "-o", "wide"}, []string{`no output "wide"`, "-o yaml"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := run(t, test.below, test.args...)
			if err == nil {
				t.Fatal("want an error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q in it", err, want)
				}
			}
		})
	}
}
