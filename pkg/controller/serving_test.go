// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/component-base/metrics"
)

// playedHost knows tokens by the names of their users, and lets one of them read metrics.
func playedHost(t *testing.T) *httptest.Server {
	t.Helper()
	answer := func(w http.ResponseWriter, object any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(object)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /apis/authentication.k8s.io/v1/tokenreviews", func(w http.ResponseWriter, req *http.Request) {
		var review authenticationv1.TokenReview
		_ = json.NewDecoder(req.Body).Decode(&review)
		if token := review.Spec.Token; token != "forged" {
			review.Status = authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{Username: token}}
		}
		answer(w, review)
	})
	mux.HandleFunc("POST /apis/authorization.k8s.io/v1/subjectaccessreviews", func(w http.ResponseWriter, req *http.Request) {
		var review authorizationv1.SubjectAccessReview
		_ = json.NewDecoder(req.Body).Decode(&review)
		asked := review.Spec.NonResourceAttributes
		review.Status.Allowed = review.Spec.User == "prometheus" && asked != nil && asked.Path == "/metrics" && asked.Verb == "get"
		answer(w, review)
	})
	host := httptest.NewServer(mux)
	t.Cleanup(host.Close)
	return host
}

// serve runs the server of a controller whose caches are filled or not, and returns its address.
func serve(t *testing.T, host string, filled caches, change func(*Options)) string {
	t.Helper()
	options := NewOptions()
	options.Kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: host}
	config.Contexts["c"] = &clientcmdapi.Context{Cluster: "c"}
	config.CurrentContext = "c"
	if err := clientcmd.WriteToFile(*config, options.Kubeconfig); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	options.Serving.Listener = listener
	if change != nil {
		change(options)
	}
	rest, err := options.config()
	if err != nil {
		t.Fatal(err)
	}
	server, err := newServer(options, kubernetes.NewForConfigOrDie(rest))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.run(ctx, newHandler(filled, metrics.NewKubeRegistry())) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the end of serving: %v", err)
		}
	})
	return listener.Addr().String()
}

// whoever asks without knowing the certificate, as the kubelet's probes do.
func whoever() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
}

func ask(t *testing.T, address, path string, header map[string]string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := whoever().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestWhoMayAsk(t *testing.T) {
	token := func(name string) map[string]string { return map[string]string{"Authorization": "Bearer " + name} }
	address := serve(t, playedHost(t).URL, true, nil)
	for _, test := range []struct {
		name, path string
		header     map[string]string
		want       int
	}{
		{"health without credentials", "/healthz", nil, http.StatusOK},
		{"life without credentials", "/livez", nil, http.StatusOK},
		{"readiness without credentials", "/readyz", nil, http.StatusOK},
		{"metrics without credentials", "/metrics", nil, http.StatusForbidden},
		{"metrics with a token that the host does not know", "/metrics", token("forged"), http.StatusUnauthorized},
		{"metrics of one whom the host does not let", "/metrics", token("alice"), http.StatusForbidden},
		{"metrics of one whom the host lets", "/metrics", token("prometheus"), http.StatusOK},
		{"anything else of the same", "/debug/pprof/", token("prometheus"), http.StatusForbidden},
		{"a path below those that are open", "/readyz/../metrics", nil, http.StatusForbidden},
		{"a name in the header of a front proxy", "/metrics", map[string]string{"X-Remote-User": "prometheus"}, http.StatusForbidden},
		{"the group of administrators there", "/metrics", map[string]string{"X-Remote-User": "a", "X-Remote-Group": "system:masters"}, http.StatusForbidden},
		{"another user's name", "/metrics", map[string]string{"Impersonate-User": "prometheus"}, http.StatusForbidden},
	} {
		t.Run(test.name, func(t *testing.T) {
			if code, body := ask(t, address, test.path, test.header); code != test.want {
				t.Errorf("got %d, want %d: %s", code, test.want, body)
			}
		})
	}
	response, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusBadRequest {
		t.Errorf("metrics in the clear: got %d, want %d", response.StatusCode, http.StatusBadRequest)
	}
}

// TestAliveWithoutHost: a kubelet that restarts the controller does not bring the host back.
func TestAliveWithoutHost(t *testing.T) {
	host := playedHost(t)
	host.Close()
	address := serve(t, host.URL, false, nil)
	if code, body := ask(t, address, "/livez", nil); code != http.StatusOK {
		t.Errorf("/livez: got %d %s, want %d", code, body, http.StatusOK)
	}
	if code, body := ask(t, address, "/readyz", nil); code != http.StatusServiceUnavailable || !strings.Contains(body, "caches") {
		t.Errorf("/readyz: got %d %s, want %d and the caches", code, body, http.StatusServiceUnavailable)
	}
}

func TestServingCertificate(t *testing.T) {
	// One for the Service, of our own making.
	address := serve(t, playedHost(t).URL, true, func(options *Options) { options.Clusters.Namespace = "here" })
	connection, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if err := connection.ConnectionState().PeerCertificates[0].VerifyHostname("garret-controller.here.svc"); err != nil {
		t.Errorf("its own certificate: %v", err)
	}

	// Or the one in the files.
	certificate, key, err := certutil.GenerateSelfSignedCertKey("given.example", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := [2]string{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}
	if err := errors.Join(os.WriteFile(files[0], certificate, 0o600), os.WriteFile(files[1], key, 0o600)); err != nil {
		t.Fatal(err)
	}
	address = serve(t, playedHost(t).URL, true, func(options *Options) {
		options.Serving.ServerCert.CertKey.CertFile, options.Serving.ServerCert.CertKey.KeyFile = files[0], files[1]
	})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	verified, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, ServerName: "given.example"})
	if err != nil {
		t.Fatalf("the certificate of the files: %v", err)
	}
	verified.Close()
}
