// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package entrance

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"

	"garret.dev/garret/test/framework"
)

// answer is what came back to a request.
type answer struct {
	code   int
	header http.Header
	body   string
}

// client speaks to the server by its name, with the user's certificate if they have one.
func (d *door) client(t *testing.T, u framework.User) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(d.authority)
	config := &tls.Config{RootCAs: roots}
	if len(u.ClientCertificateData) > 0 {
		pair, err := tls.X509KeyPair(u.ClientCertificateData, u.ClientKeyData)
		if err != nil {
			t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	transport := &http.Transport{
		TLSClientConfig: config,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, network, d.address)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// ask sends one request. Whatever comes back has no cookie, and lets no other origin in.
func (d *door) ask(t *testing.T, u framework.User, method, path, body string, header http.Header) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, d.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = http.Header{"Content-Type": {"application/json"}}
	if u.Token != "" {
		request.Header.Set("Authorization", "Bearer "+u.Token)
	}
	for key, values := range header {
		request.Header[key] = values
	}
	got, err := d.client(t, u).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if len(got.Header.Values("Set-Cookie")) > 0 || got.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%s %s: answered with %v, want no cookie and no CORS", method, path, got.Header)
	}
	content, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{got.StatusCode, got.Header, string(content)}
}

// get asks for something and wants an answer with the code.
func (d *door) get(t *testing.T, u framework.User, path string, want int) answer {
	t.Helper()
	got := d.ask(t, u, http.MethodGet, path, "", nil)
	if got.code != want {
		t.Errorf("%s: answered %d, want %d: %s", path, got.code, want, got.body)
	}
	return got
}

// whoami is who the user is inside: name, and groups.
func (d *door) whoami(t *testing.T, u framework.User, header http.Header) (string, []string) {
	t.Helper()
	got := d.ask(t, u, http.MethodPost, d.inside("/apis/authentication.k8s.io/v1/selfsubjectreviews"),
		`{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`, header)
	var review authenticationv1.SelfSubjectReview
	if err := json.Unmarshal([]byte(got.body), &review); err != nil || got.code != http.StatusCreated {
		t.Fatalf("whoami: answered %d: %s", got.code, got.body)
	}
	return review.Status.UserInfo.Username, review.Status.UserInfo.Groups
}
