// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conventions

import (
	"context"
	"net/http"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"garret.dev/garret/test/framework"
)

func policyChecks() []check {
	return []check{
		{"policy-validating", "a ValidatingAdmissionPolicy of the host denies and warns", nil, validatingPolicy},
		{"policy-status", "a policy for the status sees writes of the status alone", []need{aStatus}, statusPolicy},
		{"policy-mutating", "a MutatingAdmissionPolicy of the host changes what is written, by both kinds of patch", nil, mutatingPolicy},
		{"policy-configmap", "a policy reads its parameters from a ConfigMap, once that is granted", nil, configMapPolicy},
		{"policy-custom", "and from an object of a CustomResourceDefinition", nil, customPolicy},
	}
}

// rules match writes of the kind, or of a subresource of it.
func (s *subject) rules(subresource string) []admissionv1.NamedRuleWithOperations {
	return []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
		Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
		Rule:       admissionv1.Rule{APIGroups: []string{"tenancy.garret.dev"}, APIVersions: []string{"v1"}, Resources: []string{s.resource + subresource}},
	}}}
}

// selected matches the objects of the check, and of no other.
func (s *subject) selected(subresource string) *admissionv1.MatchResources {
	return &admissionv1.MatchResources{
		ObjectSelector: &metav1.LabelSelector{MatchLabels: map[string]string{label: s.id}}, ResourceRules: s.rules(subresource),
	}
}

// annotate writes an annotation, without keeping it, and gives the answer.
func (s *subject) annotate(key, value string, subresource string) answer {
	s.Helper()
	patch := fields{"metadata": fields{"annotations": fields{key: value}}}
	if subresource != "" {
		patch = fields{"status": fields{"observedGeneration": 5}}
	}
	return s.send("PATCH", s.url("a")+subresource+"?dryRun=All", body(patch), "Content-Type", string(types.MergePatchType))
}

// policy makes a policy and its binding until the end of the check.
func (s *subject) policy(spec admissionv1.ValidatingAdmissionPolicySpec, params *admissionv1.ParamRef, actions ...admissionv1.ValidationAction) {
	s.Helper()
	registrations := shared.host.Client.AdmissionregistrationV1()
	_, err := registrations.ValidatingAdmissionPolicies().Create(s.Context(),
		&admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: s.id}, Spec: spec}, metav1.CreateOptions{})
	s.must(err)
	_, err = registrations.ValidatingAdmissionPolicyBindings().Create(s.Context(), &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: s.id},
		Spec:       admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: s.id, ParamRef: params, ValidationActions: actions},
	}, metav1.CreateOptions{})
	s.must(err)
	s.Cleanup(func() {
		ctx := context.Background()
		_ = registrations.ValidatingAdmissionPolicyBindings().Delete(ctx, s.id, metav1.DeleteOptions{})
		_ = registrations.ValidatingAdmissionPolicies().Delete(ctx, s.id, metav1.DeleteOptions{})
	})
}

// denied waits until the request is denied with the message.
func (s *subject) denied(message string, request func() answer) {
	s.Helper()
	var last answer
	framework.Eventually(deniedT{s, &last}, "the policy denies", func(context.Context) (bool, error) {
		last = request()
		return last.code != http.StatusOK && strings.Contains(string(last.body), message), nil
	})
	if last.code != http.StatusUnprocessableEntity && last.code != http.StatusForbidden {
		s.Errorf("got %d: %s", last.code, last.body)
	}
}

// deniedT says with a failure what the last answer was.
type deniedT struct {
	*subject
	last *answer
}

func (d deniedT) Fatalf(format string, args ...any) {
	d.Helper()
	d.subject.Fatalf(format+"; last: %d %s", append(args, d.last.code, d.last.body)...)
}

const notForbidden = "!has(object.metadata.annotations) || !('forbidden' in object.metadata.annotations)"

func validatingPolicy(s *subject) {
	s.create("a")
	s.policy(admissionv1.ValidatingAdmissionPolicySpec{
		MatchConstraints: s.selected(""),
		Validations:      []admissionv1.Validation{{Expression: notForbidden, Message: "this one is forbidden"}},
	}, nil, admissionv1.Deny)
	s.denied("this one is forbidden", func() answer { return s.annotate("forbidden", "x", "") })
	s.expect(http.StatusOK, s.annotate("allowed", "x", ""))
}

func statusPolicy(s *subject) {
	s.create("a")
	s.policy(admissionv1.ValidatingAdmissionPolicySpec{
		MatchConstraints: s.selected("/status"),
		Validations:      []admissionv1.Validation{{Expression: "request.subResource == 'status' && object.status.observedGeneration != 5", Message: "not this status"}},
	}, nil, admissionv1.Deny)
	s.denied("not this status", func() answer { return s.annotate("", "", "/status") })
	s.expect(http.StatusOK, s.annotate("forbidden", "x", ""))
}

func mutatingPolicy(s *subject) {
	s.create("a")
	registrations := shared.host.Client.AdmissionregistrationV1()
	_, err := registrations.MutatingAdmissionPolicies().Create(s.Context(), &admissionv1.MutatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: s.id},
		Spec: admissionv1.MutatingAdmissionPolicySpec{
			MatchConstraints:   s.selected(""),
			ReinvocationPolicy: admissionv1.NeverReinvocationPolicy,
			FailurePolicy:      ptr.To(admissionv1.Fail),
			Mutations: []admissionv1.Mutation{
				{PatchType: admissionv1.PatchTypeApplyConfiguration, ApplyConfiguration: &admissionv1.ApplyConfiguration{
					Expression: `Object{metadata: Object.metadata{annotations: {"applied": "by policy"}}}`}},
				{PatchType: admissionv1.PatchTypeJSONPatch, JSONPatch: &admissionv1.JSONPatch{
					Expression: `[JSONPatch{op: "add", path: "/metadata/labels/patched", value: "by-policy"}]`}},
			},
		},
	}, metav1.CreateOptions{})
	s.must(err)
	_, err = registrations.MutatingAdmissionPolicyBindings().Create(s.Context(), &admissionv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: s.id}, Spec: admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: s.id},
	}, metav1.CreateOptions{})
	s.must(err)
	s.Cleanup(func() {
		ctx := context.Background()
		_ = registrations.MutatingAdmissionPolicyBindings().Delete(ctx, s.id, metav1.DeleteOptions{})
		_ = registrations.MutatingAdmissionPolicies().Delete(ctx, s.id, metav1.DeleteOptions{})
	})
	var last answer
	framework.Eventually(deniedT{s, &last}, "the policy changes what is written", func(context.Context) (bool, error) {
		if last = s.annotate("a", "b", ""); last.code != http.StatusOK {
			return false, nil
		}
		got := s.decoded(last)
		return got.GetAnnotations()["applied"] == "by policy" && got.GetLabels()["patched"] == "by-policy", nil
	})
}

// granted lets garret-apiserver read parameters, as documented: by a ClusterRole
// with the label that the install chart's role is put together from.
func (s *subject) granted(group, resource string) {
	s.Helper()
	s.applied(rbacv1.SchemeGroupVersion.WithResource("clusterroles"), &unstructured.Unstructured{Object: fields{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
		"metadata": fields{"name": "policy-params-" + resource, "labels": fields{"tenancy.garret.dev/aggregate-to-policy-params": "true"}},
		"rules":    []any{fields{"apiGroups": []any{group}, "resources": []any{resource}, "verbs": []any{"get", "list", "watch"}}},
	}})
}

// applied makes what checks share: of two that do at the same time, one comes second.
func (s *subject) applied(resource schema.GroupVersionResource, object *unstructured.Unstructured) {
	s.Helper()
	_, err := shared.objects.Resource(resource).Apply(s.Context(), object.GetName(), object, metav1.ApplyOptions{FieldManager: "conventions"})
	s.must(err)
}

func configMapPolicy(s *subject) {
	s.granted("", "configmaps")
	s.create("a")
	namespace := shared.host.NewNamespace(s, "params-")
	_, err := shared.host.Client.CoreV1().ConfigMaps(namespace).Create(s.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "rules"}, Data: map[string]string{"value": "secret"}}, metav1.CreateOptions{})
	s.must(err)
	s.policy(admissionv1.ValidatingAdmissionPolicySpec{
		MatchConstraints: s.selected(""),
		ParamKind:        &admissionv1.ParamKind{APIVersion: "v1", Kind: "ConfigMap"},
		Validations: []admissionv1.Validation{{
			Expression:        "!has(object.metadata.annotations) || !('key' in object.metadata.annotations) || object.metadata.annotations['key'] != params.data.value",
			MessageExpression: "'the value must not be ' + params.data.value"}},
	}, &admissionv1.ParamRef{Name: "rules", Namespace: namespace, ParameterNotFoundAction: ptr.To(admissionv1.DenyAction)}, admissionv1.Deny)
	s.denied("the value must not be secret", func() answer { return s.annotate("key", "secret", "") })
	s.expect(http.StatusOK, s.annotate("key", "other", ""))
}

// customKind is what the policies of the checks take parameters from, besides ConfigMaps.
const customKind = `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"rules.conventions.garret.dev"},
"spec":{"group":"conventions.garret.dev","scope":"Cluster","names":{"plural":"rules","singular":"rule","kind":"Rule"},
"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","properties":{"value":{"type":"string"}}}}}]}}`

func customPolicy(s *subject) {
	custom := &unstructured.Unstructured{}
	s.must(custom.UnmarshalJSON([]byte(customKind)))
	s.applied(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}, custom)
	s.granted("conventions.garret.dev", "rules")
	s.create("a")
	framework.Eventually(s, "the parameters are there", func(ctx context.Context) (bool, error) {
		rule := &unstructured.Unstructured{Object: fields{"apiVersion": "conventions.garret.dev/v1", "kind": "Rule", "metadata": fields{"name": s.id}, "value": "secret"}}
		_, err := shared.objects.Resource(ruleResource).Create(ctx, rule, metav1.CreateOptions{})
		return err == nil || apierrors.IsAlreadyExists(err), nil
	})
	s.policy(admissionv1.ValidatingAdmissionPolicySpec{
		MatchConstraints: s.selected(""),
		ParamKind:        &admissionv1.ParamKind{APIVersion: "conventions.garret.dev/v1", Kind: "Rule"},
		Validations: []admissionv1.Validation{{
			Expression: "!has(object.metadata.annotations) || !('key' in object.metadata.annotations) || object.metadata.annotations['key'] != params.value",
			Message:    "the rule forbids it"}},
	}, &admissionv1.ParamRef{Name: s.id, ParameterNotFoundAction: ptr.To(admissionv1.DenyAction)}, admissionv1.Deny)
	s.denied("the rule forbids it", func() answer { return s.annotate("key", "secret", "") })
	s.expect(http.StatusOK, s.annotate("key", "other", ""))
}
