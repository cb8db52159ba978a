// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// wire is a way to the host on which can be seen what traces callers announce.
// The host's API server itself makes no spans for most of them, since it leaves
// it to its own sampling whether a trace of theirs is worth any.
type wire struct {
	url       string
	authority []byte

	mu        sync.Mutex
	announced map[string]string
}

func newWire(t *testing.T) *wire {
	t.Helper()
	host, err := url.Parse(shared.host.Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	// The host's certificate is verified; who asks is for the caller's token to say.
	through, err := rest.TransportFor(rest.AnonymousClientConfig(shared.host.Config))
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{announced: map[string]string{}}
	proxy := &httputil.ReverseProxy{Transport: through, FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(host)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.announced[r.In.Method+" "+r.In.URL.Path] = r.In.Header.Get("Traceparent")
	}}
	server := httptest.NewTLSServer(http.Handler(proxy))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	w.url = server.URL
	w.authority = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return w
}

// lead has a kubeconfig take this way.
func (w *wire) lead(t *testing.T, kubeconfig string) {
	t.Helper()
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, cluster := range config.Clusters {
		cluster.Server, cluster.CertificateAuthorityData = w.url, w.authority
	}
	if err := clientcmd.WriteToFile(*config, kubeconfig); err != nil {
		t.Fatal(err)
	}
}

// traceparent is what the last request with this method and path announced.
func (w *wire) traceparent(method, path string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.announced[method+" "+path]
}
