// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"net/http"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/integration/framework"
)

// TestPolicyOfTheHost shuts virtualclusters/proxy to somebody by a policy, and so
// the gateway, for all that they may get the virtual cluster.
func TestPolicyOfTheHost(t *testing.T) {
	const path = "/clusters/team/demo/api/v1/namespaces"
	right := []rbacv1.PolicyRule{to("get", "virtualclusters")}
	out, in := account(t, "shut-out").may(t, namespace, right...), account(t, "let-in").may(t, namespace, right...)
	registrations := shared.host.Client.AdmissionregistrationV1()
	meta := metav1.ObjectMeta{Name: "shut-out"}
	_, err := registrations.ValidatingAdmissionPolicies().Create(t.Context(), &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Connect},
					Rule:       admissionv1.Rule{APIGroups: []string{v1.GroupName}, APIVersions: []string{"*"}, Resources: []string{"virtualclusters/proxy"}},
				},
			}}},
			Validations: []admissionv1.Validation{{
				Expression: "request.userInfo.username != '" + out.user + "' || !object.path.startsWith('api/v1/namespaces')",
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
	framework.Eventually(t, "the policy denies", func(context.Context) (bool, error) {
		code, body := out.ask(t, http.MethodGet, path, "", nil)
		return code != http.StatusOK && strings.Contains(body, "not for you"), nil
	})
	if code, body := in.ask(t, http.MethodGet, path, "", nil); code != http.StatusOK {
		t.Errorf("somebody else: answered %d, want 200: %s", code, body)
	}
	if code, body := out.ask(t, http.MethodGet, "/clusters/team/demo/version", "", nil); code != http.StatusOK {
		t.Errorf("another path: answered %d, want 200: %s", code, body)
	}
}
