// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/registry/virtualcluster"
)

func codecs() serializer.CodecFactory {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, metav1.Unversioned)
	metav1.AddToGroupVersion(scheme, v1.SchemeGroupVersion)
	return serializer.NewCodecFactory(scheme)
}

// proxy knows team/demo and tells that it was entered.
type proxy struct{ *virtualcluster.ProxyREST }

func (proxy) Connect(ctx context.Context, name string, _ runtime.Object, _ rest.Responder) (http.Handler, error) {
	if apirequest.NamespaceValue(ctx) != "team" || name != "demo" {
		return nil, apierrors.NewNotFound(tenancy.Resource(resource), name)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }), nil
}

func TestGateway(t *testing.T) {
	for _, tc := range []struct {
		name, method, path string
		closed             bool
		want               int
		message            string
	}{
		{name: "a virtual cluster", path: "/clusters/team/demo/api", want: 418},
		{name: "every method that has a verb", method: "DELETE", path: "/clusters/team/demo/api", want: 418},
		{name: "no other method", method: "OPTIONS", path: "/clusters/team/demo/api", want: 405, message: "OPTIONS is not supported"},
		{name: "no such virtual cluster", path: "/clusters/team/other/api", want: 404, message: `"other" not found`},
		{name: "another namespace", path: "/clusters/else/demo/api", want: 404, message: `"demo" not found`},
		{name: "another spelling", path: "/clusters/team/%64emo/api", want: 404, message: "/clusters/NAMESPACE/NAME"},
		{name: "closed", path: "/clusters/team/demo/api", closed: true, want: 404, message: "switched off"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.method == "" {
				tc.method = http.MethodGet
			}
			recorder := httptest.NewRecorder()
			Mark(&Gateway{Enabled: !tc.closed, Proxy: proxy{&virtualcluster.ProxyREST{}}, Serializer: codecs()}).
				ServeHTTP(recorder, httptest.NewRequest(tc.method, tc.path, nil))
			if recorder.Code != tc.want {
				t.Fatalf("answered %d, want %d: %s", recorder.Code, tc.want, recorder.Body)
			}
			if tc.message == "" {
				return
			}
			var status metav1.Status
			if err := json.Unmarshal(recorder.Body.Bytes(), &status); err != nil || status.Kind != "Status" || int(status.Code) != tc.want || !strings.Contains(status.Message, tc.message) {
				t.Errorf("answered %s, want a Status with %q", recorder.Body, tc.message)
			}
		})
	}
}

// policy forbids entering by a path, as the host's policies may.
type policy struct {
	forbidden string
	asked     []admission.Attributes
}

func (*policy) Handles(operation admission.Operation) bool { return operation == admission.Connect }

func (p *policy) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	p.asked = append(p.asked, a)
	if options := a.GetObject().(*tenancy.VirtualClusterProxyOptions); options.Path == p.forbidden {
		return admission.NewForbidden(a, errors.New("a policy of the host"))
	}
	return nil
}

// TestPolicies holds the gateway to what the host says about virtualclusters/proxy.
func TestPolicies(t *testing.T) {
	caller := &user.DefaultInfo{Name: "alice"}
	for name, tc := range map[string]struct {
		method, path string
		want         int
	}{
		"forbidden":                  {"GET", "/clusters/team/demo/api/v1/secrets/", 403},
		"by whatever method":         {"POST", "/clusters/team/demo/api/v1/secrets", 403},
		"before the object is read":  {"GET", "/clusters/team/other/api/v1/secrets", 403},
		"another path":               {"GET", "/clusters/team/demo/api/v1/pods", 418},
		"the virtual cluster itself": {"GET", "/clusters/team/demo", 418},
	} {
		t.Run(name, func(t *testing.T) {
			asked := &policy{forbidden: "api/v1/secrets"}
			gateway := &Gateway{Enabled: true, Proxy: proxy{&virtualcluster.ProxyREST{}}, Admission: asked, Serializer: codecs()}
			req := httptest.NewRequest(tc.method, tc.path, nil)
			recorder := httptest.NewRecorder()
			Mark(gateway).ServeHTTP(recorder, req.WithContext(apirequest.WithUser(req.Context(), caller)))
			if recorder.Code != tc.want {
				t.Errorf("answered %d, want %d: %s", recorder.Code, tc.want, recorder.Body)
			}
			if len(asked.asked) != 1 {
				t.Fatalf("the policy was asked %d times, want once", len(asked.asked))
			}
			a := asked.asked[0]
			if a.GetOperation() != admission.Connect || a.GetResource().Resource != "virtualclusters" || a.GetSubresource() != "proxy" ||
				a.GetNamespace() != "team" || a.GetKind().Kind != "VirtualClusterProxyOptions" || a.GetUserInfo() != user.Info(caller) {
				t.Errorf("the policy was asked about %s %s/%s in %s by %v, want a CONNECT to virtualclusters/proxy in team by alice",
					a.GetOperation(), a.GetResource().Resource, a.GetSubresource(), a.GetNamespace(), a.GetUserInfo())
			}
		})
	}
}

func TestSameOrigin(t *testing.T) {
	own, other := &x509.Certificate{Raw: []byte("own")}, &x509.Certificate{Raw: []byte("other")}
	known := func(c *x509.Certificate) *user.DefaultInfo {
		sum := sha256.Sum256(c.Raw)
		return &user.DefaultInfo{Name: "alice", Extra: map[string][]string{user.CredentialIDKey: {"X509SHA256=" + hex.EncodeToString(sum[:])}}}
	}
	for name, tc := range map[string]struct {
		origins []string
		peer    *x509.Certificate
		user    *user.DefaultInfo
		want    int
	}{
		"no browser":                      {nil, own, known(own), 200},
		"the same origin":                 {[]string{"https://gateway.example:8443"}, own, known(own), 200},
		"in other letters":                {[]string{"https://Gateway.Example:8443"}, own, known(own), 200},
		"another page":                    {[]string{"https://evil.example"}, own, known(own), 403},
		"another port":                    {[]string{"https://gateway.example"}, own, known(own), 403},
		"no origin at all":                {[]string{"null"}, own, known(own), 403},
		"one good, one bad":               {[]string{"https://gateway.example:8443", "https://evil.example"}, own, known(own), 403},
		"no URL":                          {[]string{"https://%zz"}, own, known(own), 403},
		"a token":                         {[]string{"https://evil.example"}, nil, &user.DefaultInfo{Name: "alice"}, 200},
		"a token beside a certificate":    {[]string{"https://evil.example"}, own, &user.DefaultInfo{Name: "alice"}, 200},
		"whom a front proxy names":        {[]string{"https://console.example"}, own, &user.DefaultInfo{Name: "alice"}, 200},
		"who had a certificate at theirs": {[]string{"https://console.example"}, own, known(other), 200},
	} {
		t.Run(name, func(t *testing.T) {
			req := httptest.NewRequest(http.MethodGet, "https://gateway.example:8443/clusters/team/demo/api", nil)
			for _, origin := range tc.origins {
				req.Header.Add("Origin", origin)
			}
			if tc.peer != nil {
				req.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{tc.peer}}
			}
			recorder := httptest.NewRecorder()
			SameOrigin(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), codecs()).
				ServeHTTP(recorder, req.WithContext(apirequest.WithUser(req.Context(), tc.user)))
			if recorder.Code != tc.want {
				t.Errorf("answered %d, want %d", recorder.Code, tc.want)
			}
		})
	}
}
