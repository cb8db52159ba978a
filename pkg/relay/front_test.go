// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/utils/clock"
	testclock "k8s.io/utils/clock/testing"

	"garret.dev/garret/pkg/access"
	"garret.dev/garret/pkg/access/accesstest"
)

// front is the relay behind the part of an API server's handler chain that it
// relies on, in front of a real TLS server.
type front struct {
	*httptest.Server
	inside *accesstest.Cluster
	relay  *Relay
	clock  *testclock.FakePassiveClock
	// viewer takes the right to create away from the caller.
	viewer bool
}

func newFront(tb testing.TB, inside http.Handler) *front {
	tb.Helper()
	f := &front{inside: accesstest.New(tb, "team", "demo", inside), clock: testclock.NewFakePassiveClock(time.Now())}
	f.relay = f.newRelay(f.clock)
	f.Server = httptest.NewServer(f.chain())
	tb.Cleanup(f.Server.Close)
	return f
}

func (f *front) newRelay(clock clock.PassiveClock) *Relay {
	gate := access.NewGate(authorizer.AuthorizerFunc(func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
		if f.viewer {
			return authorizer.DecisionNoOpinion, "", nil
		}
		return authorizer.DecisionAllow, "", nil
	}))
	issuer := access.NewIssuer(f.inside.Dial, f.inside.ClientCertificate)
	return New(Config{Gate: gate, Credentials: access.NewCredentials(issuer, time.Hour).WithClock(clock), Dial: f.inside.Dial})
}

func (f *front) chain() http.Handler {
	factory := &apirequest.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}
	last := WithInnerQuery(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		f.relay.Handler(f.inside.VirtualCluster).ServeHTTP(w, req)
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		info, err := factory.NewRequestInfo(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		ctx := apirequest.WithUser(req.Context(), &user.DefaultInfo{Name: "alice", Groups: []string{"dev", "system:authenticated"}})
		last.ServeHTTP(w, req.WithContext(apirequest.WithRequestInfo(ctx, info)))
	})
}

func (f *front) url(path string) string { return f.URL + testPrefix + path }

// raw sends bytes as they are and returns the connection and the answer.
func (f *front) raw(t *testing.T, request string) (net.Conn, *bufio.Reader, *http.Response) {
	t.Helper()
	conn, err := net.Dial("tcp", f.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatalf("read answer: %v", err)
	}
	return conn, reader, response
}

// recorder remembers the requests that arrive inside.
type recorder struct {
	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	r.mu.Lock()
	r.requests = append(r.requests, req.Clone(context.Background()))
	r.bodies = append(r.bodies, string(body))
	r.mu.Unlock()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	io.WriteString(w, "inside")
}

// only returns the one request that arrived.
func (r *recorder) only(t *testing.T) (*http.Request, string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.requests) != 1 {
		t.Fatalf("%d requests arrived inside, want 1", len(r.requests))
	}
	return r.requests[0], r.bodies[0]
}

func (r *recorder) none(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, req := range r.requests {
		t.Errorf("%s %s arrived inside, want nothing", req.Method, req.RequestURI)
	}
}

// status reads an answer that must be an API Status.
func status(t *testing.T, response *http.Response) metav1.Status {
	t.Helper()
	defer response.Body.Close()
	var got metav1.Status
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil || got.Kind != "Status" || int(got.Code) != response.StatusCode {
		t.Fatalf("answered %d with %+v, %v; want a Status of the same code", response.StatusCode, got, err)
	}
	return got
}

func do(t *testing.T, request *http.Request) *http.Response {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

func newRequest(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return request
}

func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) { return condition(), nil })
	if err != nil {
		t.Fatal("the condition did not come true in time")
	}
}
