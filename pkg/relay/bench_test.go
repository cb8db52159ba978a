// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"k8s.io/utils/clock"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

// BenchmarkRelay compares requests through the relay with the same requests
// straight to the server behind it, in one run: both over TLS and HTTP/2.
// Each also runs the size of the answer, for MB/s.
func BenchmarkRelay(b *testing.B) {
	for _, size := range []struct {
		name  string
		bytes int
	}{{"get-2KiB", 2 << 10}, {"list-8MiB", 8 << 20}} {
		payload := make([]byte, size.bytes)
		f := newFront(b, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Write(payload)
		}))
		f.relay = f.newRelay(clock.RealClock{})
		outer := httptest.NewUnstartedServer(f.chain())
		outer.EnableHTTP2 = true
		outer.StartTLS()
		b.Cleanup(outer.Close)

		relayed := &http.Client{Transport: outer.Client().Transport}
		b.Run(size.name+"/straight", func(b *testing.B) {
			measure(b, straight(f), "https://"+v1.ServerName("demo", "team")+"/api/v1/pods", size.bytes)
		})
		b.Run(size.name+"/relayed", func(b *testing.B) {
			measure(b, relayed, outer.URL+testPrefix+"/api/v1/pods", size.bytes)
		})
	}
}

// straight is a client of the server behind the relay.
func straight(f *front) *http.Client {
	pair := f.inside.ClientCA.Client(v1.RelayUser)
	return &http.Client{Transport: &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{RootCAs: f.inside.ServerCA.Pool(), ServerName: v1.ServerName("demo", "team"), Certificates: []tls.Certificate{pair}},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return f.inside.Dial(ctx, network, address)
		},
	}}
}

func measure(b *testing.B, client *http.Client, url string, size int) {
	get := func() {
		response, err := client.Get(url)
		if err != nil {
			b.Fatal(err)
		}
		defer response.Body.Close()
		if n, err := io.Copy(io.Discard, response.Body); err != nil || n != int64(size) || response.StatusCode != http.StatusOK {
			b.Fatalf("answered %d with %d bytes, %v", response.StatusCode, n, err)
		}
	}
	get()
	b.SetBytes(int64(size))
	b.ResetTimer()
	begin := time.Now()
	for range b.N {
		get()
	}
	b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "req/s")
}
