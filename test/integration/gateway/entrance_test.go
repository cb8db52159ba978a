// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/relay"
	"garret.dev/garret/test/integration/framework"
)

// TestWhoEnters has one caller for each kind of right on the host.
func TestWhoEnters(t *testing.T) {
	const (
		inside  = "/clusters/team/demo/api/v1/namespaces"
		missing = "/clusters/team/missing/api/v1/namespaces"
		foreign = "/clusters/elsewhere/demo/api/v1/namespaces"
	)
	for name, tc := range map[string]struct {
		in    string
		rules []rbacv1.PolicyRule
		// want are the codes of inside, missing and foreign.
		want [3]int
	}{
		"get, everywhere":           {"", []rbacv1.PolicyRule{to("get", "virtualclusters")}, [3]int{200, 404, 404}},
		"get, in the namespace":     {namespace, []rbacv1.PolicyRule{to("get", "virtualclusters")}, [3]int{200, 404, 403}},
		"get, of this object":       {namespace, []rbacv1.PolicyRule{to("get", "virtualclusters", "demo")}, [3]int{200, 403, 403}},
		"get, of another object":    {namespace, []rbacv1.PolicyRule{to("get", "virtualclusters", "missing")}, [3]int{403, 404, 403}},
		"get, in another namespace": {elsewhere, []rbacv1.PolicyRule{to("get", "virtualclusters")}, [3]int{403, 403, 404}},
		"list and watch":            {namespace, []rbacv1.PolicyRule{to("list,watch", "virtualclusters")}, [3]int{403, 403, 403}},
		"all of the proxy":          {namespace, []rbacv1.PolicyRule{to("get,create,update,patch,delete", "virtualclusters/proxy")}, [3]int{403, 403, 403}},
		"everything but get":        {namespace, []rbacv1.PolicyRule{to("create,list,watch,update,patch,delete", "virtualclusters")}, [3]int{403, 403, 403}},
		"nothing":                   {namespace, nil, [3]int{403, 403, 403}},
	} {
		t.Run(name, func(t *testing.T) {
			c := account(t, strings.NewReplacer(" ", "-", ",", "").Replace(name)).may(t, tc.in, tc.rules...)
			for i, path := range []string{inside, missing, foreign} {
				code, body := c.ask(t, http.MethodGet, path, "", nil)
				if code != tc.want[i] {
					t.Errorf("%s: answered %d, want %d: %s", path, code, tc.want[i], body)
				}
				if tc.want[i] == http.StatusOK {
					continue
				}
				var status metav1.Status
				if err := json.Unmarshal([]byte(body), &status); err != nil || status.Kind != "Status" || int(status.Code) != code {
					t.Errorf("%s: answered %s, want a Status", path, body)
				}
				if code == http.StatusForbidden && !strings.Contains(status.Message, `cannot get resource "virtualclusters" in API group "tenancy.garret.dev"`) {
					t.Errorf("%s: answered %q, want the right that is missing", path, status.Message)
				}
			}
		})
	}
}

func TestRightsInside(t *testing.T) {
	const pod = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"NAME","namespace":"default"},"data":{"a":"b"}}`
	reader := account(t, "inside-reader").may(t, namespace, to("get", "virtualclusters", name))
	if output, err := reader.kubectl(t, "", "get", "pods,configmaps", "-A"); err != nil {
		t.Errorf("a reader reads: %v: %s", err, output)
	}
	for _, arguments := range [][]string{{"get", "secrets", "-A"}, {"create", "-f", "-"}, {"delete", "configmap", "kube-root-ca.crt"}} {
		output, err := reader.kubectl(t, strings.ReplaceAll(pod, "NAME", "reader"), arguments...)
		if err == nil || !strings.Contains(output, `User "host:`+reader.user+`" cannot`) {
			t.Errorf("a reader, kubectl %s: got %v, %q; want RBAC inside to refuse", strings.Join(arguments, " "), err, output)
		}
	}
	editor := account(t, "inside-editor").may(t, namespace, to("get", "virtualclusters", name)).edits(t)
	for who, c := range map[string]caller{"editor": editor, "admin": admin(t)} {
		object := strings.ReplaceAll(pod, "NAME", who)
		if output, err := c.kubectl(t, object, "create", "--dry-run=server", "-f", "-"); err != nil || !strings.Contains(output, "server dry run") {
			t.Errorf("%s, dry run: got %v: %s", who, err, output)
		}
		if output, err := c.kubectl(t, "", "get", "configmap", who); err == nil {
			t.Errorf("%s, after a dry run: got %q, want nothing there", who, output)
		}
		for _, arguments := range [][]string{
			{"apply", "-f", "-"}, {"apply", "--server-side", "--force-conflicts", "-f", "-"}, {"patch", "configmap", who, "-p", `{"data":{"a":"c"}}`},
			{"wait", "configmap/" + who, "--for=jsonpath={.data.a}=c"}, {"explain", "pods"}, {"api-resources"}, {"delete", "configmap", who},
		} {
			if output, err := c.kubectl(t, object, arguments...); err != nil {
				t.Errorf("%s, kubectl %s: %v: %s", who, strings.Join(arguments, " "), err, output)
			}
		}
	}
}

// TestTenancyAPI asks for the virtual clusters themselves on the same address.
func TestTenancyAPI(t *testing.T) {
	const path = "/apis/tenancy.garret.dev/v1/namespaces/team/virtualclusters"
	getter := account(t, "api-getter").may(t, namespace, to("get", "virtualclusters"))
	if code, body := getter.ask(t, http.MethodGet, path+"/demo", "", nil); code != http.StatusOK || !strings.Contains(body, `"kind":"VirtualCluster"`) {
		t.Errorf("get: answered %d: %s", code, body)
	}
	for method, path := range map[string]string{http.MethodGet: path, http.MethodDelete: path + "/demo", http.MethodPost: path + "/demo/kubeconfig"} {
		if code, body := getter.ask(t, method, path, "{}", nil); code != http.StatusForbidden {
			t.Errorf("%s %s: answered %d, want 403 as on the host: %s", method, path, code, body)
		}
	}
	// kubectl takes the address for a host that knows of nothing else.
	content, err := framework.Kubeconfig("https://"+shared.garret.Address, shared.authority, getter.AuthInfo)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if output, err := framework.Kubectl(t, file, "", "get", "vc", "demo", "-n", namespace, "-o", "name"); err != nil || output != "virtualcluster.tenancy.garret.dev/demo\n" {
		t.Errorf("kubectl get vc: got %q, %v", output, err)
	}
	if code, body := getter.ask(t, http.MethodGet, path+"/demo/proxy/api", "", nil); code != http.StatusForbidden {
		t.Errorf("the relay's path: answered %d, want 403, since that is another right: %s", code, body)
	}
}

func TestSpellings(t *testing.T) {
	c := admin(t)
	for path, want := range map[string]int{
		"/clusters/team/demo":                              200,
		"/clusters/team/demo/":                             200,
		"/clusters/team/demo/readyz":                       200,
		"/clusters/team/demo/api/v1/../v1":                 400,
		"/clusters/team/demo/%2e%2e/other/api":             400,
		"/clusters/team/demo/api%2fv1":                     400,
		"/clusters/team/%64emo/api":                        403,
		"/%63lusters/team/demo/api":                        403,
		"/clusters/team%2fdemo/api":                        403,
		"/clusters/team/../team/demo/api":                  403,
		"/clusters//team/demo/api":                         403,
		"/clusters/team/demo/apis/tenancy.garret.dev":      404,
		"/clusters/team/demo/clusters/team/demo/api":       404,
		"/clusters/team/demo/api/v1/namespaces/../secrets": 400,
	} {
		if code, body := c.ask(t, http.MethodGet, path, "", nil); code != want {
			t.Errorf("%s: answered %d, want %d: %s", path, code, want, body)
		}
	}
}

// TestAudit looks for what the host's auditor has to know of a request.
func TestAudit(t *testing.T) {
	c := admin(t)
	for _, tc := range []struct {
		method, uri, verb string
		want              int
	}{
		{http.MethodGet, "/clusters/team/demo/api/v1/secrets?limit=7", "list", http.StatusOK},
		// The host was asked for get; what was done inside is a delete.
		{http.MethodDelete, "/clusters/team/demo/api/v1/namespaces/default/secrets/none", "delete", http.StatusNotFound},
	} {
		t.Run(tc.verb, func(t *testing.T) {
			if code, body := c.ask(t, tc.method, tc.uri, "", nil); code != tc.want {
				t.Fatalf("answered %d, want %d: %s", code, tc.want, body)
			}
			expectAudit(t, c, tc.uri, tc.verb)
		})
	}
}

// expectAudit waits for the event that says who entered, as whom, and for what.
func expectAudit(t *testing.T, c caller, uri, verb string) {
	t.Helper()
	type event struct {
		Verb, RequestURI, Level       string
		User                          struct{ Username string }
		ObjectRef                     struct{ Resource, Subresource, Namespace, Name string }
		RequestObject, ResponseObject json.RawMessage
		Annotations                   map[string]string
	}
	matches := func(line string) bool {
		var e event
		if json.Unmarshal([]byte(line), &e) != nil || e.RequestURI != uri {
			return false
		}
		if len(e.RequestObject)+len(e.ResponseObject) > 0 {
			t.Errorf("the audit log holds what passed through:\n%s", line)
		}
		return e.Verb == "get" && e.User.Username == c.user && e.ObjectRef.Resource == "virtualclusters" && e.ObjectRef.Subresource == "" &&
			e.ObjectRef.Namespace == namespace && e.ObjectRef.Name == name &&
			e.Annotations[relay.AuditEnteredAs] == v1.HostUserPrefix+c.user && e.Annotations[relay.AuditGroup] == v1.GroupAdmins &&
			e.Annotations[relay.AuditVerb] == verb
	}
	// The event that says how a request ended is written after its answer.
	framework.Eventually(t, "an event says that "+c.user+" entered, as whom, and for what", func(context.Context) (bool, error) {
		log, err := os.ReadFile(shared.auditLog)
		return slices.ContainsFunc(strings.Split(string(log), "\n"), matches), err
	})
}

func TestNobody(t *testing.T) {
	for name, tc := range map[string]struct {
		caller caller
		want   int
	}{
		"without credentials":    {caller{}, 403},
		"with a wrong token":     {caller{AuthInfo: clientcmdapi.AuthInfo{Token: "wrong"}}, 401},
		"with a token of inside": {insider(t), 401},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/clusters/team/demo/api", "/clusters/team/demo/", "/apis/tenancy.garret.dev/v1/virtualclusters"} {
				if code, body := tc.caller.ask(t, http.MethodGet, path, "", nil); code != tc.want {
					t.Errorf("%s: answered %d, want %d: %s", path, code, tc.want, body)
				}
			}
		})
	}
}
