// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"crypto/tls"
	"crypto/x509/pkix"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestTheAggregatorNeedsOneConnection has it look five times at once, as the API server does, and
// not read the answers to their ends.
func TestTheAggregatorNeedsOneConnection(t *testing.T) {
	f := start(t, nil, nil, newTranslator("one"))
	passing := f.dir.FrontProxy.Client(t, pkix.Name{CommonName: aggregator})
	for name, tc := range map[string]struct {
		certificate      tls.Certificate
		host, protocol   string
		code             int
		mostConnections  int32
		leastConnections int32
	}{
		"the aggregator":                  {passing, apiHost, "HTTP/2.0", http.StatusOK, 1, 1},
		"the aggregator, by another name": {passing, "127.0.0.1", "HTTP/1.1", http.StatusOK, 10, 2},
		// Whoever lacks its certificate gains nothing by its name.
		"a kubelet's caller by its name": {f.apiServer(t), apiHost, "HTTP/2.0", http.StatusNotFound, 1, 1},
		"anybody by its name": {f.dir.FrontProxy.Client(t, pkix.Name{CommonName: "anybody"}), apiHost, "HTTP/2.0",
			http.StatusForbidden, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var connections atomic.Int32
			transport := &http.Transport{
				ForceAttemptHTTP2: true,
				TLSClientConfig:   &tls.Config{RootCAs: f.roots(), Certificates: []tls.Certificate{tc.certificate}, ServerName: tc.host},
				DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
					connections.Add(1)
					return (&net.Dialer{}).DialContext(ctx, network, f.address)
				},
			}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
			look := func() {
				answer, err := client.Get("https://" + tc.host + "/apis/example.org/v1")
				if err != nil {
					t.Error(err)
					return
				}
				defer answer.Body.Close()
				if answer.Proto != tc.protocol || answer.StatusCode != tc.code {
					body, _ := io.ReadAll(answer.Body)
					t.Errorf("got %s by %s, want %d by %s: %s", answer.Status, answer.Proto, tc.code, tc.protocol, body)
				}
			}
			// The first look opens the connection that the others share.
			look()
			var looks sync.WaitGroup
			for range 5 {
				looks.Go(look)
			}
			looks.Wait()
			if got := connections.Load(); got > tc.mostConnections || got < tc.leastConnections {
				t.Errorf("%d connections, want %d to %d", got, tc.leastConnections, tc.mostConnections)
			}
		})
	}
}
