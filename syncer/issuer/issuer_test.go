// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package issuer

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/clock"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/access"
	"garret.dev/garret/syncer/pki"
	"garret.dev/garret/syncer/pki/pkitest"
)

// fixture is an issuer that runs on loopback, over real TLS.
type fixture struct {
	virtual *fake.Clientset
	dir     *pkitest.DataDir
	callers *pkitest.Authority
	file    string
	url     string
}

func start(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{dir: pkitest.NewDataDir(t), callers: pkitest.NewAuthority(t, "garret"), file: filepath.Join(t.TempDir(), "ca.crt")}
	pkitest.WriteFile(t, f.file, f.callers.PEM())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.url = "https://" + listener.Addr().String() + tenancyv1.IssuerPath
	// RBAC inside, in which edit is there, and which never says who may do what.
	f.virtual = fake.NewClientset(role("edit"), role("cluster-admin"))
	issuer := &Issuer{
		Rights:   access.NewKubeconfigs(f.virtual),
		Listener: listener,
		Serving:  pki.NewServing(pki.ServerAuthority(f.dir.Path), "issuer", []string{"127.0.0.1"}, clock.RealClock{}),
		Callers:  pki.NewPool(f.file),
		Signer:   pki.ClientAuthority(f.dir.Path),
		Clock:    clock.RealClock{},
		Metrics:  http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "measured 1") }),
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- issuer.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("issuer: %v", err)
		}
	})
	return f
}

func role(name string) *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// bindings are those that are there inside.
func (f *fixture) bindings(t *testing.T) []rbacv1.ClusterRoleBinding {
	t.Helper()
	list, err := f.virtual.RbacV1().ClusterRoleBindings().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

func (f *fixture) client(certificates ...tls.Certificate) *http.Client {
	return &http.Client{
		Timeout: 20 * time.Second,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{RootCAs: f.dir.Server.Pool(), Certificates: certificates},
		},
	}
}

func (f *fixture) apiServer(t *testing.T) *http.Client {
	return f.client(f.callers.Client(t, pkix.Name{CommonName: tenancyv1.APIServerUser}))
}

// TestMetrics has garret-apiserver read metrics, and nobody else.
func TestMetrics(t *testing.T) {
	t.Parallel()
	f := start(t)
	target := strings.TrimSuffix(f.url, tenancyv1.IssuerPath) + tenancyv1.SyncerMetricsPath
	for name, c := range map[string]struct {
		client *http.Client
		code   int // 0: no connection
	}{
		"garret-apiserver":             {f.apiServer(t), 200},
		"another of its authority":     {f.client(f.callers.Client(t, pkix.Name{CommonName: "prometheus"})), 403},
		"a user inside":                {f.client(f.dir.Client.Client(t, pkix.Name{CommonName: tenancyv1.APIServerUser})), 0},
		"somebody without certificate": {f.client(), 0},
	} {
		response, err := c.client.Get(target)
		code := 0
		if err == nil {
			code = response.StatusCode
			response.Body.Close()
		}
		if code != c.code {
			t.Errorf("%s: got code %d (error %v), want %d", name, code, err, c.code)
		}
	}
}

// post asks for a certificate, and returns it or the code and message of the refusal.
func (f *fixture) post(t *testing.T, client *http.Client, request []byte, seconds int64) (*x509.Certificate, int, string) {
	t.Helper()
	body, err := json.Marshal(tenancyv1.CertificateRequest{Request: request, ExpirationSeconds: seconds})
	if err != nil {
		t.Fatal(err)
	}
	return f.postRaw(t, client, body)
}

func (f *fixture) postRaw(t *testing.T, client *http.Client, body []byte) (*x509.Certificate, int, string) {
	t.Helper()
	answer, err := client.Post(f.url, "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, 0, err.Error()
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		var status metav1.Status
		if err := json.NewDecoder(answer.Body).Decode(&status); err != nil {
			t.Fatalf("a refusal with code %d is not a Status: %v", answer.StatusCode, err)
		}
		if int(status.Code) != answer.StatusCode || status.Kind != "Status" {
			t.Errorf("got Status with code %d and kind %q for HTTP code %d", status.Code, status.Kind, answer.StatusCode)
		}
		return nil, answer.StatusCode, status.Message
	}
	var response tenancyv1.CertificateResponse
	if err := json.NewDecoder(answer.Body).Decode(&response); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(response.Certificate)
	if block == nil {
		t.Fatalf("the answer is not PEM")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, answer.StatusCode, ""
}

func ecKey(t *testing.T, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestNothingElseIsCopied sends all that a request may hold.
func TestNothingElseIsCopied(t *testing.T) {
	f := start(t)
	authorityBit, err := asn1.Marshal(struct{ IsCA bool }{true})
	if err != nil {
		t.Fatal(err)
	}
	request := pkitest.Request(t, x509.CertificateRequest{
		Subject:         pkix.Name{CommonName: "garret:relay", OrganizationalUnit: []string{"system:masters"}, Country: []string{"XX"}, SerialNumber: "1"},
		DNSNames:        []string{"kubernetes.default.svc"},
		IPAddresses:     []net.IP{net.ParseIP("127.0.0.1")},
		EmailAddresses:  []string{"root@localhost"},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: authorityBit}},
	}, ecKey(t, elliptic.P256()))
	certificate, code, message := f.post(t, f.apiServer(t), request, 600)
	if certificate == nil {
		t.Fatalf("got code %d: %s", code, message)
	}
	if certificate.IsCA {
		t.Error("it is an authority")
	}
	if len(certificate.DNSNames)+len(certificate.IPAddresses)+len(certificate.EmailAddresses)+len(certificate.URIs) > 0 {
		t.Errorf("it has alternative names: %v %v %v", certificate.DNSNames, certificate.IPAddresses, certificate.EmailAddresses)
	}
	if got := certificate.Subject.String(); got != "CN=garret:relay" {
		t.Errorf("got subject %q, want CN=garret:relay alone", got)
	}
	if !slices.Equal(certificate.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) || certificate.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Errorf("got usages %v %v, want client authentication alone", certificate.ExtKeyUsage, certificate.KeyUsage)
	}
}

// TestTwoNames has a request with two common names, of which Go shows the last.
func TestTwoNames(t *testing.T) {
	f := start(t)
	name := func(value string) pkix.AttributeTypeAndValue {
		return pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: value}
	}
	raw, err := asn1.Marshal(pkix.RDNSequence{{name("system:admin")}, {name("garret:relay")}})
	if err != nil {
		t.Fatal(err)
	}
	request := pkitest.Request(t, x509.CertificateRequest{RawSubject: raw}, ecKey(t, elliptic.P256()))
	if _, code, _ := f.post(t, f.apiServer(t), request, 600); code != http.StatusForbidden {
		t.Errorf("got code %d, want 403", code)
	}
}

func TestLife(t *testing.T) {
	f := start(t)
	client := f.apiServer(t)
	request := pkitest.Request(t, x509.CertificateRequest{Subject: pkix.Name{CommonName: tenancyv1.RelayUser}}, ecKey(t, elliptic.P256()))
	for _, test := range []struct {
		seconds int64
		code    int
	}{
		{0, 400}, {-60, 400}, {59, 400}, {60, 200}, {86400, 200}, {86401, 400},
		{1 << 62, 400}, {-1 << 63, 400}, {18446744133, 400}, // this one is 60.4 seconds after an overflow
	} {
		certificate, code, message := f.post(t, client, request, test.seconds)
		if code != test.code {
			t.Errorf("%d seconds: got code %d (%s), want %d", test.seconds, code, message, test.code)
			continue
		}
		if certificate == nil {
			continue
		}
		left := time.Until(certificate.NotAfter)
		if want := time.Duration(test.seconds) * time.Second; left > want || left < want-30*time.Second {
			t.Errorf("%d seconds: the certificate is good for %s", test.seconds, left)
		}
	}
}

func TestCallers(t *testing.T) {
	f := start(t)
	request := pkitest.Request(t, x509.CertificateRequest{Subject: pkix.Name{CommonName: tenancyv1.RelayUser}}, ecKey(t, elliptic.P256()))
	stranger := pkitest.NewAuthority(t, "garret")
	apiServer := pkix.Name{CommonName: tenancyv1.APIServerUser}
	for _, test := range []struct {
		name   string
		client *http.Client
		code   int // 0: no connection
	}{
		{"no certificate", f.client(), 0},
		{"certificate of another authority with the same name", f.client(stranger.Client(t, apiServer)), 0},
		{"certificate of the virtual cluster", f.client(f.dir.Client.Client(t, apiServer)), 0},
		{"certificate of the server authority", f.client(f.dir.Server.Client(t, apiServer)), 0},
		{"another name", f.client(f.callers.Client(t, pkix.Name{CommonName: "garret-controller"})), 403},
		{"the name as a group", f.client(f.callers.Client(t, pkix.Name{CommonName: "x", Organization: []string{tenancyv1.APIServerUser}})), 403},
		{"garret-apiserver", f.apiServer(t), 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, code, message := f.post(t, test.client, request, 600); code != test.code {
				t.Errorf("got code %d (%s), want %d", code, message, test.code)
			}
		})
	}
}

func TestBodies(t *testing.T) {
	f := start(t)
	client, key := f.apiServer(t), ecKey(t, elliptic.P256())
	good := pkitest.Request(t, x509.CertificateRequest{Subject: pkix.Name{CommonName: tenancyv1.RelayUser}}, key)
	forged := func() []byte {
		block, _ := pem.Decode(good)
		der := bytes.Replace(block.Bytes, []byte("garret:relay"), []byte("garret:layer"), 1)
		return pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: der})
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	subject := x509.CertificateRequest{Subject: pkix.Name{CommonName: tenancyv1.RelayUser}}
	wrap := func(request []byte) []byte {
		body, err := json.Marshal(tenancyv1.CertificateRequest{Request: request, ExpirationSeconds: 600})
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	for _, test := range []struct {
		name string
		body []byte
		code int
	}{
		{"good", wrap(good), 200},
		{"empty", nil, 400},
		{"not JSON", []byte("hello"), 400},
		{"no request", []byte(`{"expirationSeconds": 600}`), 400},
		{"not PEM", wrap([]byte("hello")), 400},
		{"a certificate", wrap(f.callers.PEM()), 400},
		{"two requests", wrap(append(slices.Clone(good), good...)), 400},
		{"signature of another text", wrap(forged()), 400},
		{"weak RSA key", wrap(pkitest.Request(t, subject, weak)), 400},
		{"weak curve", wrap(pkitest.Request(t, subject, ecKey(t, elliptic.P224()))), 400},
		{"huge", append([]byte(`{"request":"`), bytes.Repeat([]byte("A"), 1<<20)...), 413},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, code, message := f.postRaw(t, client, test.body); code != test.code {
				t.Errorf("got code %d (%s), want %d", code, message, test.code)
			}
		})
	}
}

func TestMethodsAndPaths(t *testing.T) {
	f := start(t)
	client := f.apiServer(t)
	for _, test := range []struct {
		method, path string
		code         int
	}{
		{http.MethodGet, tenancyv1.IssuerPath, 405},
		{http.MethodPut, tenancyv1.IssuerPath, 405},
		{http.MethodPost, "/", 404},
		{http.MethodPost, tenancyv1.IssuerPath + "/x", 404},
	} {
		request, err := http.NewRequest(test.method, strings.TrimSuffix(f.url, tenancyv1.IssuerPath)+test.path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != test.code {
			t.Errorf("%s %s: got code %d, want %d", test.method, test.path, answer.StatusCode, test.code)
		}
	}
}

func TestAuthoritiesAreReloaded(t *testing.T) {
	f := start(t)
	request := pkitest.Request(t, x509.CertificateRequest{Subject: pkix.Name{CommonName: tenancyv1.RelayUser}}, ecKey(t, elliptic.P256()))
	before := f.apiServer(t)
	f.callers = pkitest.NewAuthority(t, "garret, the second")
	pkitest.WriteFile(t, f.file, f.callers.PEM())
	if _, code, _ := f.post(t, before, request, 600); code != 0 {
		t.Errorf("a caller of the authority before got code %d, want no connection", code)
	}
	if _, code, message := f.post(t, f.apiServer(t), request, 600); code != 200 {
		t.Errorf("a caller of the new authority got code %d (%s), want 200", code, message)
	}
	f.dir.Client = pkitest.NewAuthority(t, "client-ca, the second")
	f.dir.Write(t)
	certificate, _, message := f.post(t, f.apiServer(t), request, 600)
	if certificate == nil {
		t.Fatalf("refused: %s", message)
	}
	if _, err := certificate.Verify(x509.VerifyOptions{Roots: f.dir.Client.Pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Errorf("not signed by the new authority: %v", err)
	}
}
