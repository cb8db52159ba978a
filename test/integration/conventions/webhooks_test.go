// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conventions

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"

	admissionreview "k8s.io/api/admission/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"garret.dev/garret/test/framework"
)

func webhookChecks() []check {
	return []check{
		{"webhook-validating", "a validating webhook of the host sees who does what to which object, denies and warns", nil, validatingWebhook},
		{"webhook-mutating", "a mutating webhook of the host changes what is written", nil, mutatingWebhook},
		{"webhook-down", "a webhook that does not answer fails the request, or is passed over, as it says", nil, absentWebhook},
	}
}

// webhook answers reviews over HTTPS, and keeps what it was asked.
type webhook struct {
	config admissionv1.WebhookClientConfig
	mu     sync.Mutex
	asked  []*admissionreview.AdmissionRequest
}

// serve starts a webhook that ends with the check.
func (s *subject) serve(review func(*admissionreview.AdmissionRequest) *admissionreview.AdmissionResponse) *webhook {
	s.Helper()
	w := &webhook{}
	server := httptest.NewTLSServer(http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		var content admissionreview.AdmissionReview
		if err := json.NewDecoder(request.Body).Decode(&content); err != nil || content.Request == nil {
			http.Error(writer, "no review", http.StatusBadRequest)
			return
		}
		w.mu.Lock()
		w.asked = append(w.asked, content.Request)
		w.mu.Unlock()
		content.Response = review(content.Request)
		content.Response.UID = content.Request.UID
		content.Request = nil
		writer.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(writer).Encode(content)
	}))
	s.Cleanup(server.Close)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	w.config = admissionv1.WebhookClientConfig{URL: ptr.To(server.URL), CABundle: authority}
	return w
}

// selector chooses the objects of the check.
func (s *subject) selector() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{label: s.id}}
}

// writes are the operations that webhooks are asked about.
func (s *subject) writes() []admissionv1.RuleWithOperations {
	return []admissionv1.RuleWithOperations{s.rules("")[0].RuleWithOperations}
}

func (s *subject) validating(config admissionv1.WebhookClientConfig, failure admissionv1.FailurePolicyType) {
	s.Helper()
	configurations := shared.host.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	_, err := configurations.Create(s.Context(), &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: s.id},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "check.conventions.garret.dev", ClientConfig: config, Rules: s.writes(), ObjectSelector: s.selector(), FailurePolicy: &failure,
			SideEffects: ptr.To(admissionv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"}, TimeoutSeconds: ptr.To(int32(10)),
		}},
	}, metav1.CreateOptions{})
	s.must(err)
	s.Cleanup(func() { _ = configurations.Delete(context.Background(), s.id, metav1.DeleteOptions{}) })
}

func validatingWebhook(s *subject) {
	made := s.create("a")
	w := s.serve(func(request *admissionreview.AdmissionRequest) *admissionreview.AdmissionResponse {
		if strings.Contains(string(request.Object.Raw), `"forbidden"`) {
			return &admissionreview.AdmissionResponse{Result: &metav1.Status{Code: http.StatusForbidden, Message: "the webhook forbids it"}}
		}
		return &admissionreview.AdmissionResponse{Allowed: true, Warnings: []string{"watched by a webhook"}}
	})
	s.validating(w.config, admissionv1.Fail)
	s.denied("the webhook forbids it", func() answer { return s.annotate("forbidden", "x", "") })
	got := s.expect(http.StatusOK, s.annotate("allowed", "x", ""))
	if texts := got.header.Values("Warning"); !slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(t, "watched by a webhook") }) {
		s.Errorf("got warnings %q, want the webhook's", texts)
	}
	w.mu.Lock()
	asked := w.asked[len(w.asked)-1]
	w.mu.Unlock()
	if asked.Operation != admissionreview.Update || asked.Kind.Kind != s.kind.kind || asked.Resource.Resource != s.resource || asked.Name != made.GetName() ||
		asked.Namespace != s.namespace || asked.DryRun == nil || !*asked.DryRun || asked.UserInfo.Username != "system:admin" || len(asked.OldObject.Raw) == 0 {
		s.Errorf("got %+v, want an update of %s as a dry run by system:admin", asked, made.GetName())
	}
	s.must(shared.host.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(s.Context(), s.id, metav1.DeleteOptions{}))
	s.forgotten(w)
}

func mutatingWebhook(s *subject) {
	s.create("a")
	w := s.serve(func(*admissionreview.AdmissionRequest) *admissionreview.AdmissionResponse {
		return &admissionreview.AdmissionResponse{Allowed: true, PatchType: ptr.To(admissionreview.PatchTypeJSONPatch),
			Patch: []byte(`[{"op":"add","path":"/metadata/labels/webhook","value":"was-here"}]`)}
	})
	configurations := shared.host.Client.AdmissionregistrationV1().MutatingWebhookConfigurations()
	_, err := configurations.Create(s.Context(), &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: s.id},
		Webhooks: []admissionv1.MutatingWebhook{{
			Name: "change.conventions.garret.dev", ClientConfig: w.config, Rules: s.writes(), ObjectSelector: s.selector(),
			SideEffects: ptr.To(admissionv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
		}},
	}, metav1.CreateOptions{})
	s.must(err)
	s.Cleanup(func() { _ = configurations.Delete(context.Background(), s.id, metav1.DeleteOptions{}) })
	framework.Eventually(s, "the webhook changes what is written", func(context.Context) (bool, error) {
		got := s.expect(http.StatusOK, s.annotate("a", "b", ""))
		return s.decoded(got).GetLabels()["webhook"] == "was-here", nil
	})
	s.must(configurations.Delete(s.Context(), s.id, metav1.DeleteOptions{}))
	s.forgotten(w)
}

// forgotten waits until a webhook whose configuration is gone is asked no more.
// Where a kind has one object only, the next check writes the same one, and
// would meet a webhook that has ended.
func (s *subject) forgotten(w *webhook) {
	s.Helper()
	count := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.asked)
	}
	framework.Eventually(s, "the webhook is forgotten", func(context.Context) (bool, error) {
		before := count()
		s.annotate("a", "b", "")
		return count() == before, nil
	})
}

// absentWebhook names a port that nothing listens on.
func absentWebhook(s *subject) {
	s.create("a")
	port, err := framework.FreePort()
	s.must(err)
	config := admissionv1.WebhookClientConfig{URL: ptr.To("https://127.0.0.1:" + text(port))}
	s.validating(config, admissionv1.Fail)
	var last answer
	framework.Eventually(deniedT{s, &last}, "the request fails", func(context.Context) (bool, error) {
		last = s.annotate("a", "b", "")
		return last.code == http.StatusInternalServerError && strings.Contains(string(last.body), "failed calling webhook"), nil
	})
	_, err = shared.host.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Patch(s.Context(), s.id, "application/json-patch+json",
		[]byte(`[{"op":"replace","path":"/webhooks/0/failurePolicy","value":"Ignore"}]`), metav1.PatchOptions{})
	s.must(err)
	framework.Eventually(deniedT{s, &last}, "the request is let through", func(context.Context) (bool, error) {
		last = s.annotate("a", "b", "")
		return last.code == http.StatusOK, nil
	})
}
