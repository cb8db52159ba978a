// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// TestIdentityOfRequest sends what a hostile caller may send, byte by byte, and
// looks at what arrives inside.
func TestIdentityOfRequest(t *testing.T) {
	for name, headers := range map[string]string{
		"nothing said":                    "",
		"somebody else":                   "Impersonate-User: root\r\nImpersonate-Group: system:masters\r\nImpersonate-Uid: 0\r\nImpersonate-Extra-Scopes: all\r\n",
		"somebody else, in small letters": "impersonate-user: root\r\nimpersonate-group: system:masters\r\n",
		"somebody else, for a gateway":    "Impersonate_User: root\r\n",
		"front proxy":                     "X-Remote-User: root\r\nX-Remote-Group: system:masters\r\nX-Remote-Extra-A: b\r\nX-Remote-Uid: 1\r\n",
		"a token of the host":             "Authorization: Bearer secret\r\n",
		"identity named in Connection":    "Connection: Impersonate-User, Impersonate-Group, close\r\n",
		"identity named twice":            "Connection: Impersonate-User\r\nConnection: impersonate-group\r\nImpersonate-User: root\r\n",
		"identity in a trailer":           "Trailer: Impersonate-User\r\n",
		"identity named in Te":            "Te: trailers, Impersonate-User\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			inside := &recorder{}
			f := newFront(t, inside)
			_, _, response := f.raw(t, "GET "+testPrefix+"/api/v1/pods HTTP/1.1\r\nHost: evil.example\r\n"+headers+"\r\n")
			if response.StatusCode != http.StatusOK {
				t.Fatalf("answered %d, want 200", response.StatusCode)
			}
			req, _ := inside.only(t)
			if got := req.Header["Impersonate-User"]; !reflect.DeepEqual(got, []string{"host:alice"}) {
				t.Errorf("entered as %q, want host:alice", got)
			}
			if got, want := req.Header["Impersonate-Group"], []string{"garret:admins", "host:dev", "host:system:authenticated"}; !reflect.DeepEqual(got, want) {
				t.Errorf("entered with %q, want %q", got, want)
			}
			for key := range req.Header {
				if key != "Impersonate-User" && key != "Impersonate-Group" && speaksOfIdentity(key) {
					t.Errorf("header %s arrived inside", key)
				}
			}
			if req.Host != "vc-demo.team.svc" || req.ProtoMajor != 2 || len(req.Trailer) != 0 {
				t.Errorf("arrived at %s over %s with trailers %v; want the cluster's own name, HTTP/2 and none", req.Host, req.Proto, req.Trailer)
			}
		})
	}
}

func TestTrailersStayOutside(t *testing.T) {
	inside := &recorder{}
	f := newFront(t, inside)
	_, _, response := f.raw(t, "POST "+testPrefix+"/api/v1/pods HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: Impersonate-User\r\n\r\n3\r\nabc\r\n0\r\nImpersonate-User: root\r\n\r\n")
	if response.StatusCode != http.StatusOK {
		t.Fatalf("answered %d, want 200", response.StatusCode)
	}
	if req, body := inside.only(t); body != "abc" || len(req.Trailer) != 0 {
		t.Errorf("arrived with body %q and trailers %v, want abc and none", body, req.Trailer)
	}
}

// TestSmuggling sends requests whose length can be read in two ways, with a
// second request in what one of the readings takes for the body.
func TestSmuggling(t *testing.T) {
	second := "GET /api/v1/secrets HTTP/1.1\r\nHost: h\r\nImpersonate-User: root\r\n\r\n"
	for name, headers := range map[string]string{
		"length and chunks": fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", len(second)+5),
		"two lengths":       fmt.Sprintf("Content-Length: 0\r\nContent-Length: %d\r\n\r\n", len(second)),
		"chunks, disguised": "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"a folded header":   fmt.Sprintf("Content-Length: 0\r\n Content-Length: %d\r\n\r\n", len(second)),
	} {
		t.Run(name, func(t *testing.T) {
			inside := &recorder{}
			f := newFront(t, inside)
			f.raw(t, "POST "+testPrefix+"/api/v1/pods HTTP/1.1\r\nHost: h\r\n"+headers+second)
			inside.mu.Lock()
			defer inside.mu.Unlock()
			for _, req := range inside.requests {
				if req.URL.Path == "/api/v1/secrets" || req.Header.Get("Impersonate-User") != "host:alice" {
					t.Errorf("%s arrived inside as %q", req.URL.Path, req.Header["Impersonate-User"])
				}
			}
		})
	}
}

func TestRequestArrivesAsItIs(t *testing.T) {
	inside := &recorder{}
	f := newFront(t, inside)
	request := newRequest(t, http.MethodPatch, f.url("/api/v1/namespaces/a/pods/b%20c/?dryRun=All&fieldManager=x&path=/y&labelSelector=a%3Db"), strings.NewReader("body"))
	request.Header.Set("Content-Type", "application/strategic-merge-patch+json")
	request.Header.Set("X-Forwarded-For", "192.0.2.1")
	request.Header.Set("X-Forwarded-Host", "evil.example")
	if response := do(t, request); response.StatusCode != http.StatusOK {
		t.Fatalf("answered %d, want 200", response.StatusCode)
	}
	req, body := inside.only(t)
	if want := "/api/v1/namespaces/a/pods/b%20c/?dryRun=All&fieldManager=x&path=/y&labelSelector=a%3Db"; req.Method != http.MethodPatch || req.RequestURI != want || body != "body" {
		t.Errorf("arrived as %s %s with %q, want PATCH %s with body", req.Method, req.RequestURI, body, want)
	}
	if got := req.Header.Get("Content-Type"); got != "application/strategic-merge-patch+json" {
		t.Errorf("content type is %q", got)
	}
	if got := req.Header.Get("X-Forwarded-For"); got != "192.0.2.1, 127.0.0.1" || req.Header.Get("X-Forwarded-Host") != "" {
		t.Errorf("forwarded for %q, host %q; want both addresses and no host", got, req.Header.Get("X-Forwarded-Host"))
	}
}

func TestPathsRefused(t *testing.T) {
	for _, path := range []string{"/../kubeconfig", "/%2e%2e/kubeconfig", "/a%2fb", "/a%5cb", "/a/./b", "/a%00b"} {
		t.Run(path, func(t *testing.T) {
			inside := &recorder{}
			f := newFront(t, inside)
			_, _, response := f.raw(t, "GET "+testPrefix+path+" HTTP/1.1\r\nHost: h\r\n\r\n")
			if got := status(t, response); got.Code != http.StatusBadRequest {
				t.Errorf("answered %d, want 400", got.Code)
			}
			inside.none(t)
		})
	}
}

func TestBareProxyIsTheRoot(t *testing.T) {
	inside := &recorder{}
	f := newFront(t, inside)
	if response := do(t, newRequest(t, http.MethodGet, f.url(""), nil)); response.StatusCode != http.StatusOK {
		t.Fatalf("answered %d, want 200 and no redirect", response.StatusCode)
	}
	if req, _ := inside.only(t); req.URL.Path != "/" {
		t.Errorf("arrived at %s, want /", req.URL.Path)
	}
}

func TestAnswers(t *testing.T) {
	for _, tc := range []struct {
		name     string
		code     int
		location string
		want     int
	}{
		{"an error is passed on", 409, "", 409},
		{"a redirect is not", 302, "https://evil.example/", 502},
		{"not even to the same place", 301, "/api/", 502},
		{"nor one that repeats the method", 307, "/api", 502},
		{"not modified is no redirect", 304, "", 304},
		{"created may name its place", 201, "/api/v1/x", 201},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFront(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if tc.location != "" {
					w.Header().Set("Location", tc.location)
				}
				w.Header().Set("Access-Control-Allow-Origin", "*")
				w.WriteHeader(tc.code)
			}))
			response := do(t, newRequest(t, http.MethodGet, f.url("/api"), nil))
			if response.StatusCode != tc.want || response.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Fatalf("answered %d with %v, want %d", response.StatusCode, response.Header, tc.want)
			}
			if tc.want == http.StatusBadGateway {
				if got := status(t, response); !strings.Contains(got.Message, "team/demo") || !strings.Contains(got.Message, "redirect") || response.Header.Get("Location") != "" {
					t.Errorf("answered %q with %v, want who redirected and no Location", got.Message, response.Header)
				}
			}
		})
	}
}

func TestWatchIsFlushed(t *testing.T) {
	next := make(chan struct{})
	ended := make(chan struct{})
	f := newFront(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		io.WriteString(w, "one\n")
		http.NewResponseController(w).Flush()
		<-next
		io.WriteString(w, "two\n")
		http.NewResponseController(w).Flush()
		<-req.Context().Done()
		close(ended)
	}))
	response := do(t, newRequest(t, http.MethodGet, f.url("/api/v1/pods?watch=true"), nil))
	line := make([]byte, 4)
	if _, err := io.ReadFull(response.Body, line); err != nil || string(line) != "one\n" {
		t.Fatalf("got %q, %v; want the first event before the second is sent", line, err)
	}
	close(next)
	if _, err := io.ReadFull(response.Body, line); err != nil || string(line) != "two\n" {
		t.Fatalf("got %q, %v; want the second event", line, err)
	}
	response.Body.Close()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the watch inside goes on after the caller left")
	}
}

func TestGzipIsPassedThrough(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	io.WriteString(z, strings.Repeat("pod ", 1000))
	z.Close()
	f := newFront(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Accept-Encoding") != "gzip" {
			t.Errorf("Accept-Encoding is %q inside, want gzip", req.Header.Get("Accept-Encoding"))
		}
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(packed.Bytes())
	}))
	request := newRequest(t, http.MethodGet, f.url("/api/v1/pods"), nil)
	request.Header.Set("Accept-Encoding", "gzip")
	response := do(t, request)
	got, err := io.ReadAll(response.Body)
	if err != nil || !bytes.Equal(got, packed.Bytes()) || response.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("got %d bytes, %v, %v; want the %d bytes as they were", len(got), response.Header, err, packed.Len())
	}
}

func TestTruncatedAnswerIsNotComplete(t *testing.T) {
	f := newFront(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "half of it")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	response := do(t, newRequest(t, http.MethodGet, f.url("/api/v1/pods"), nil))
	if got, err := io.ReadAll(response.Body); err == nil {
		t.Errorf("read %q as a whole answer, want an error", got)
	}
}

// TestSlowCallerHoldsLittle has a caller not read an answer of 512 MiB.
func TestSlowCallerHoldsLittle(t *testing.T) {
	var written atomic.Int64
	f := newFront(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		block := make([]byte, 64<<10)
		for range 8 << 10 {
			n, err := w.Write(block)
			written.Add(int64(n))
			if err != nil {
				return
			}
		}
	}))
	response := do(t, newRequest(t, http.MethodGet, f.url("/api/v1/pods"), nil))
	defer response.Body.Close()
	last, same := int64(-1), 0
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		if now := written.Load(); now != last {
			last, same = now, 0
		} else {
			same++
		}
		return same == 10, nil
	})
	if err != nil || last > 32<<20 {
		t.Errorf("the server wrote %d MiB that nobody read (%v), want it stopped by what the sockets hold", last>>20, err)
	}
}

func TestUnauthorizedInside(t *testing.T) {
	refuse := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	t.Run("a new certificate is not made per request", func(t *testing.T) {
		f := newFront(t, refuse)
		for range 3 {
			got := status(t, do(t, newRequest(t, http.MethodGet, f.url("/api/v1/pods"), nil)))
			if got.Code != http.StatusServiceUnavailable || !strings.Contains(got.Message, "does not accept the relay's certificate") {
				t.Errorf("answered %d %q, want 503 that names the hop", got.Code, got.Message)
			}
		}
		if f.inside.Issued() != 1 {
			t.Errorf("%d certificates were made, want 1", f.inside.Issued())
		}
	})
	t.Run("an application behind the API server speaks for itself", func(t *testing.T) {
		f := newFront(t, refuse)
		if response := do(t, newRequest(t, http.MethodGet, f.url("/api/v1/namespaces/a/services/b/proxy/c"), nil)); response.StatusCode != http.StatusUnauthorized {
			t.Errorf("answered %d, want 401", response.StatusCode)
		}
	})
	for _, tc := range []struct {
		name string
		body string
		want int
	}{
		{"a request is repeated with a new certificate", "", http.StatusOK},
		{"one with a body is not, but its client may", "body", http.StatusServiceUnavailable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inside := &recorder{}
			f := newFront(t, inside)
			do(t, newRequest(t, http.MethodGet, f.url("/api"), nil))
			f.clock.SetTime(f.clock.Now().Add(time.Minute))
			f.inside.ClientCA = f.inside.HostCA // The certificate authority was replaced.
			response := do(t, newRequest(t, http.MethodPost, f.url("/api/v1/pods"), strings.NewReader(tc.body)))
			if response.StatusCode != tc.want {
				t.Fatalf("answered %d, want %d", response.StatusCode, tc.want)
			}
			if tc.want == http.StatusOK {
				return
			}
			if response.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			if again := do(t, newRequest(t, http.MethodPost, f.url("/api/v1/pods"), strings.NewReader(tc.body))); again.StatusCode != http.StatusOK {
				t.Errorf("answered %d the second time, want 200", again.StatusCode)
			}
		})
	}
}

func TestConnectionsAreReused(t *testing.T) {
	f := newFront(t, &recorder{})
	get := func() { do(t, newRequest(t, http.MethodGet, f.url("/api"), nil)).Body.Close() }
	// A new connection serves its first request before others may share it.
	get()
	get()
	reused := func(most, certificates int64) int64 {
		t.Helper()
		opened := f.inside.Connections()
		for range 20 {
			get()
		}
		if now := f.inside.Connections(); opened > most || now != opened || f.inside.Issued() != certificates {
			t.Errorf("%d connections, %d after 20 requests more, and %d certificates; want at most %d, no more, and %d",
				opened, now, f.inside.Issued(), most, certificates)
		}
		return opened
	}
	opened := reused(2, 1)
	f.clock.SetTime(f.clock.Now().Add(50 * time.Minute))
	waitFor(t, func() bool {
		get()
		return f.inside.Connections() > opened
	})
	get()
	reused(opened+2, 2)
}
