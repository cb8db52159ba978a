// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/isolation"
)

// TestWarnings writes pods, and what makes pods.
func TestWarnings(t *testing.T) {
	const root = `{"hostPID":true,"containers":[{"name":"app"}]}`
	tests := []struct {
		resource, sub, object, want string
	}{
		{"pods", "", `{"spec":{"containers":[{"name":"app"}]}}`, ""},
		{"pods", "", `{"spec":` + root + `}`, `the pod will not run: violates PodSecurity "baseline:latest": host namespaces (hostPID=true)`},
		{"pods", "", `{"spec":{"volumes":[{"name":"v","nfs":{"server":"nas"}}]}}`, "the pod will not run: spec.volumes[0].nfs is refused"},
		{"pods", "ephemeralcontainers", `{"spec":{"ephemeralContainers":[{"name":"debug","securityContext":{"privileged":true}}]}}`, "the ephemeral container will not run: violates PodSecurity"},
		{"deployments", "", `{"spec":{"template":{"spec":` + root + `}}}`, "its pods will not run: violates PodSecurity"},
		{"daemonsets", "", `{"spec":{"template":{"spec":` + root + `}}}`, "its pods will not run"},
		{"statefulsets", "", `{"spec":{"template":{"spec":` + root + `}}}`, "its pods will not run"},
		{"jobs", "", `{"spec":{"template":{"spec":` + root + `}}}`, "its pods will not run"},
		{"cronjobs", "", `{"spec":{"jobTemplate":{"spec":{"template":{"spec":` + root + `}}}}}`, "its pods will not run"},
		{"deployments", "", `{"spec":{"template":{"spec":{"containers":[{"name":"app"}]}}}}`, ""},
		{"widgets", "", `{"spec":{}}`, ""},
		{"pods", "", `nonsense`, ""},
	}
	security, err := isolation.NewPodSecurity("v1.37.2")
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer(nil, nil, &Allocator{})
	ask := func(resource, sub, object string) *admissionv1.AdmissionResponse {
		request := &admissionv1.AdmissionRequest{UID: "review", Operation: admissionv1.Create, SubResource: sub, Resource: metav1.GroupVersionResource{Resource: resource}}
		request.Object.Raw, _ = json.Marshal(object)
		if json.Valid([]byte(object)) {
			request.Object.Raw = []byte(object)
		}
		answer := httptest.NewRecorder()
		server.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodPost, warningsPath, bytes.NewReader(marshal(t, admissionv1.AdmissionReview{Request: request}))))
		var review admissionv1.AdmissionReview
		if err := json.Unmarshal(answer.Body.Bytes(), &review); err != nil || !review.Response.Allowed || review.Response.Patch != nil {
			t.Fatalf("%s %s: got %s, want it to pass unchanged", resource, object, answer.Body)
		}
		return review.Response
	}
	if got := ask("pods", "", `{"spec":`+root+`}`).Warnings; len(got) > 0 {
		t.Errorf("without a check: got %q, want no warning", got)
	}
	server.Check = func(spec *corev1.PodSpec) error { return security.CheckInside(spec, isolation.Exceptions{}) }
	if got := ask("pods", "", `{"spec":`+root+`}`).Warnings; len(got) > 0 {
		t.Errorf("before the level is known: got %q, want no warning", got)
	}
	security.Observe(&tenancyv1.VirtualCluster{})
	for _, test := range tests {
		got := strings.Join(ask(test.resource, test.sub, test.object).Warnings, "|")
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s/%s %s: got %q, want %q", test.resource, test.sub, test.object, got, test.want)
		}
	}
	select {
	case <-server.Reached():
		t.Error("a call about pods tells that Services are served")
	default:
	}
}

// TestInForce wants both webhooks, as they should be.
func TestInForce(t *testing.T) {
	stored := func(change func(*admissionregistrationv1.MutatingWebhookConfiguration)) *admissionregistrationv1.MutatingWebhookConfiguration {
		found := &admissionregistrationv1.MutatingWebhookConfiguration{}
		if err := json.Unmarshal(marshal(t, Configuration([]byte("ca"), 9443)), found); err != nil {
			t.Fatal(err)
		}
		change(found)
		return found
	}
	for name, test := range map[string]struct {
		change func(*admissionregistrationv1.MutatingWebhookConfiguration)
		want   bool
	}{
		"as it should be":           {func(*admissionregistrationv1.MutatingWebhookConfiguration) {}, true},
		"of a release without pods": {func(c *admissionregistrationv1.MutatingWebhookConfiguration) { c.Webhooks = c.Webhooks[:1] }, false},
		"another failure policy":    {func(c *admissionregistrationv1.MutatingWebhookConfiguration) { *c.Webhooks[0].FailurePolicy = "Ignore" }, false},
		"a rule less": {func(c *admissionregistrationv1.MutatingWebhookConfiguration) {
			c.Webhooks[1].Rules = c.Webhooks[1].Rules[1:]
		}, false},
		"another authority": {func(c *admissionregistrationv1.MutatingWebhookConfiguration) {
			c.Webhooks[0].ClientConfig.CABundle = nil
		}, false},
		"a selector of somebody's": {func(c *admissionregistrationv1.MutatingWebhookConfiguration) {
			c.Webhooks[0].ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}
		}, false},
		"another condition": {func(c *admissionregistrationv1.MutatingWebhookConfiguration) {
			c.Webhooks[0].MatchConditions[0].Expression = "false"
		}, false},
	} {
		if got := InForce(stored(test.change), []byte("ca"), 9443); got != test.want {
			t.Errorf("%s: got %t, want %t", name, got, test.want)
		}
	}
}
