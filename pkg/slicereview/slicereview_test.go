// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package slicereview

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

const own, foreign = "0123456789", "abcdef0123"

func meta(namespace, name, cluster string) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{}}
	if cluster != "" {
		m.Labels[v1.LabelCluster] = cluster
	}
	return m
}

func pod(namespace, name, cluster, ip string, change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: meta(namespace, name, cluster), Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}}}}
	if change != nil {
		change(p)
	}
	return p
}

func reviewer() *Reviewer {
	return &Reviewer{
		Host: fake.NewClientset(
			&corev1.Service{ObjectMeta: meta("team", "web", own)}, &corev1.Service{ObjectMeta: meta("team", "theirs", foreign)},
			&corev1.Service{ObjectMeta: meta("team", "plain", "")}, &corev1.Service{ObjectMeta: meta("other", "elsewhere", own)},
			pod("team", "web", own, "10.0.0.7", nil),
			pod("team", "theirs", foreign, "10.0.0.8", nil),
			pod("team", "plain", "", "10.0.0.9", nil),
			pod("other", "elsewhere", own, "10.0.0.10", nil),
			pod("team", "ended", own, "10.0.0.11", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }),
			pod("team", "of-the-node", own, "172.18.0.2", func(p *corev1.Pod) { p.Spec.HostNetwork = true }),
		),
		Ranges: func(context.Context) ([]string, error) { return []string{"192.0.2.0/24"}, nil },
	}
}

func slice(change func(*discoveryv1.EndpointSlice), addresses ...string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: meta("team", "web-1", own), AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{{Addresses: addresses}}}
	s.Labels[discoveryv1.LabelServiceName] = "web"
	if change != nil {
		change(s)
	}
	return s
}

func labelled(key, value string) func(*discoveryv1.EndpointSlice) {
	return func(s *discoveryv1.EndpointSlice) { s.Labels[key] = value }
}

// TestJudge says what a slice may hold; an empty refusal lets it pass.
func TestJudge(t *testing.T) {
	const notOwn = "is no address of a pod of the virtual cluster: have the host's administrator add it to spec.isolation.endpointRanges"
	ipv6 := func(s *discoveryv1.EndpointSlice) { s.AddressType = discoveryv1.AddressTypeIPv6 }
	for name, test := range map[string]struct {
		slice *discoveryv1.EndpointSlice
		want  string
	}{
		"own pod":                    {slice(nil, "10.0.0.7"), ""},
		"no address":                 {slice(nil), ""},
		"opened range":               {slice(nil, "192.0.2.9"), ""},
		"both":                       {slice(nil, "192.0.2.9", "10.0.0.7"), ""},
		"the host's API server":      {slice(nil, "10.96.0.1"), "endpoints[0].addresses[0]: 10.96.0.1 " + notOwn},
		"own and another":            {slice(nil, "10.0.0.7", "10.96.0.1"), "endpoints[0].addresses[1]: 10.96.0.1 " + notOwn},
		"another cluster's pod":      {slice(nil, "10.0.0.8"), notOwn},
		"a pod of the namespace":     {slice(nil, "10.0.0.9"), notOwn},
		"own id, another namespace":  {slice(nil, "10.0.0.10"), notOwn},
		"an ended pod":               {slice(nil, "10.0.0.11"), notOwn},
		"a node, by a pod on it":     {slice(nil, "172.18.0.2"), notOwn},
		"IPv4 dressed as IPv6":       {slice(ipv6, "::ffff:10.96.0.1"), notOwn},
		"own, dressed as IPv6":       {slice(ipv6, "::ffff:10.0.0.7"), ""},
		"a name":                     {slice(nil, "api.example.com"), notOwn},
		"FQDN":                       {slice(func(s *discoveryv1.EndpointSlice) { s.AddressType = discoveryv1.AddressTypeFQDN }, "api.example.com"), "addressType: FQDN would name any host"},
		"another's Service":          {slice(labelled(discoveryv1.LabelServiceName, "theirs"), "10.0.0.7"), "theirs is no Service of the virtual cluster"},
		"a Service of the namespace": {slice(labelled(discoveryv1.LabelServiceName, "plain"), "10.0.0.7"), "plain is no Service of the virtual cluster"},
		"of another namespace":       {slice(labelled(discoveryv1.LabelServiceName, "elsewhere"), "10.0.0.7"), "elsewhere is no Service of the virtual cluster"},
		"no Service":                 {slice(labelled(discoveryv1.LabelServiceName, ""), "10.0.0.7"), "must name a Service"},
		"no cluster":                 {slice(labelled(v1.LabelCluster, ""), "10.0.0.9"), "must be the id of a virtual cluster"},
		"a selector in the label":    {slice(labelled(v1.LabelCluster, own+",x"), "10.0.0.9"), "must be the id of a virtual cluster"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := reviewer().Judge(t.Context(), test.slice)
			if err != nil || (test.want == "") != (got == "") || !strings.Contains(got, test.want) {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

// TestServe answers reviews, and only those. Without an answer the host refuses the write.
func TestServe(t *testing.T) {
	r := reviewer()
	handler := r.Serve(http.NotFoundHandler())
	ask := func(method, path string, body []byte) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(method, path, bytes.NewReader(body)))
		return w
	}
	question := func(s *discoveryv1.EndpointSlice) []byte {
		raw, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(admissionv1.AdmissionReview{TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
			Request: &admissionv1.AdmissionRequest{UID: "u-1", Namespace: "team", Object: runtime.RawExtension{Raw: raw}}})
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	for address, allowed := range map[string]bool{"10.0.0.7": true, "10.96.0.1": false} {
		answer := ask(http.MethodPost, Path, question(slice(nil, address)))
		var review admissionv1.AdmissionReview
		if err := json.Unmarshal(answer.Body.Bytes(), &review); err != nil {
			t.Fatal(err)
		}
		response := review.Response
		if answer.Code != http.StatusOK || review.Kind != "AdmissionReview" || response.UID != "u-1" || response.Allowed != allowed ||
			!allowed && (response.Result.Code != http.StatusForbidden || !strings.Contains(response.Result.Message, address)) {
			t.Errorf("%s: got %d %s", address, answer.Code, answer.Body)
		}
	}
	// The namespace is the request's, whatever the object says.
	elsewhere := slice(func(s *discoveryv1.EndpointSlice) { s.Namespace = "other" }, "10.0.0.7")
	if answer := ask(http.MethodPost, Path, question(elsewhere)); !strings.Contains(answer.Body.String(), `"allowed":true`) {
		t.Errorf("got %s", answer.Body)
	}
	for what, got := range map[string]int{
		"another path":   ask(http.MethodPost, Path+"/x", nil).Code,
		"another method": ask(http.MethodGet, Path, nil).Code,
	} {
		if got != http.StatusNotFound {
			t.Errorf("%s: got %d, want it passed on", what, got)
		}
	}
	if got := ask(http.MethodPost, Path, []byte(`{}`)).Code; got != http.StatusBadRequest {
		t.Errorf("no request: got %d", got)
	}
	r.Ranges = func(context.Context) ([]string, error) { return nil, errors.New("the datastore is away") }
	if got := ask(http.MethodPost, Path, question(slice(nil, "10.0.0.7"))).Code; got != http.StatusInternalServerError {
		t.Errorf("without the HostCluster: got %d", got)
	}
}
