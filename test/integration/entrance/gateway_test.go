// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package entrance

import (
	"context"
	"net/http"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// TestTenancyAPI asks for the virtual clusters themselves at the gateway's address.
func TestTenancyAPI(t *testing.T) {
	t.Parallel()
	d := gatewayDoor()
	const path = "/apis/tenancy.garret.dev/v1/namespaces/team/virtualclusters"
	getter := may(t, account(t, "getter"), namespace, to("get", clusters))
	if got := d.get(t, getter, path+"/demo", http.StatusOK); !strings.Contains(got.body, `"kind":"VirtualCluster"`) {
		t.Errorf("get: answered %s", got.body)
	}
	for method, path := range map[string]string{http.MethodGet: path, http.MethodDelete: path + "/demo", http.MethodPost: path + "/demo/kubeconfig"} {
		if got := d.ask(t, getter, method, path, "{}", nil); got.code != http.StatusForbidden {
			t.Errorf("%s %s: answered %d, want 403 as on the host: %s", method, path, got.code, got.body)
		}
	}
	// kubectl takes the address for a host that knows of nothing else.
	c := getter.Client(t, "https://"+d.address, d.authority)
	if got := c.Do(t, "get", "vc", "demo", "-n", namespace, "-o", "name"); got != "virtualcluster.tenancy.garret.dev/demo\n" {
		t.Errorf("kubectl get vc: got %q", got)
	}
	// The relay's path takes another right here, too.
	d.get(t, getter, proxyPath(name, namespace)+"/api", http.StatusForbidden)
}

func TestSpellings(t *testing.T) {
	t.Parallel()
	d := gatewayDoor()
	u := may(t, account(t, "speller"), namespace, to("get", clusters), to("create", proxy))
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
		d.get(t, u, path, want)
	}
}

// TestPolicyOfTheHost shuts virtualclusters/proxy to somebody by a policy, and so
// the gateway, for all that they may get the virtual cluster.
func TestPolicyOfTheHost(t *testing.T) {
	t.Parallel()
	d := gatewayDoor()
	out, in := d.reader(t), d.reader(t)
	registrations := shared.host.Client.AdmissionregistrationV1()
	meta := metav1.ObjectMeta{Name: "shut-out"}
	_, err := registrations.ValidatingAdmissionPolicies().Create(t.Context(), &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Connect},
					Rule:       admissionv1.Rule{APIGroups: []string{v1.GroupName}, APIVersions: []string{"*"}, Resources: []string{proxy}},
				},
			}}},
			Validations: []admissionv1.Validation{{
				Expression: "request.userInfo.username != '" + out.Name + "' || !object.path.startsWith('api/v1/namespaces')",
				Message:    "not for you",
			}},
		}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = registrations.ValidatingAdmissionPolicyBindings().Create(t.Context(), &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: meta.Name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = registrations.ValidatingAdmissionPolicyBindings().Delete(context.Background(), meta.Name, metav1.DeleteOptions{})
		_ = registrations.ValidatingAdmissionPolicies().Delete(context.Background(), meta.Name, metav1.DeleteOptions{})
	})
	path := d.inside("/api/v1/namespaces")
	framework.Eventually(t, "the policy denies", func(context.Context) (bool, error) {
		got := d.ask(t, out, http.MethodGet, path, "", nil)
		return got.code != http.StatusOK && strings.Contains(got.body, "not for you"), nil
	})
	d.get(t, in, path, http.StatusOK)                  // somebody else
	d.get(t, out, d.inside("/version"), http.StatusOK) // another path
}
