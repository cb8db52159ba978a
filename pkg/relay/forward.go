// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"sync"
	"time"

	"k8s.io/apiserver/pkg/audit"

	"garret.dev/garret/apis/tenancy"
	"garret.dev/garret/pkg/access"
)

// flushInterval is for answers of known length; those of unknown length, such
// as watches, are flushed at every read.
const flushInterval = 100 * time.Millisecond

// forward carries an ordinary request.
func (r *Relay) forward(w http.ResponseWriter, req *http.Request, e entry) {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL = e.target
			p.Out.Host = e.target.Host
			p.Out.Trailer = nil
			forwardedFor(p.Out.Header, p.In)
			passAuditID(req.Context(), p.Out.Header)
		},
		Transport:     &roundTripper{connections: r.connections, entry: e},
		FlushInterval: flushInterval,
		BufferPool:    r.buffers,
		// What the proxy logs are the ends of streams, which the caller sees.
		ErrorLog: log.New(io.Discard, "", 0),
		ModifyResponse: func(response *http.Response) error {
			if err := checkAnswer(e.cluster, response); err != nil {
				return err
			}
			answerHeader(response.Header, w.Header())
			// What is of known length ends by itself.
			if long, watch := longRunningInside(req.Method, e.target); long && response.ContentLength < 0 {
				r.drain.follow(response, watch)
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, req *http.Request, err error) {
			writeError(w, req, e.cluster, err)
		},
	}
	defer forgive(req.Context())
	proxy.ServeHTTP(w, req)
}

// forgive takes back the proxy's abort of an answer whose caller has gone, as
// at the end of every watch: it is no fault, and nobody is left who could take
// the answer for complete. All other aborts go on, and break the connection.
func forgive(ctx context.Context) {
	if !errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	if err := recover(); err != nil && err != http.ErrAbortHandler {
		panic(err)
	}
}

// passAuditID gives the request the same audit id inside as outside.
func passAuditID(ctx context.Context, h http.Header) {
	if id, ok := audit.AuditIDFrom(ctx); ok {
		h.Set(headerAuditID, string(id))
	}
}

// checkAnswer refuses answers that would lead the caller away or take over
// their connection.
func checkAnswer(cluster *tenancy.VirtualCluster, response *http.Response) error {
	switch {
	case response.StatusCode == http.StatusSwitchingProtocols:
		return access.BadGateway(cluster, "UnexpectedUpgrade", "its API server switched protocols without being asked to")
	case response.StatusCode >= 300 && response.StatusCode < 400 && response.Header.Get("Location") != "":
		return access.BadGateway(cluster, "Redirect", fmt.Sprintf("its API server answered %d with a redirect, which is not passed on", response.StatusCode))
	}
	return nil
}

// roundTripper sends one request with the caller's identity inside.
type roundTripper struct {
	connections *connections
	entry       entry
}

var _ http.RoundTripper = &roundTripper{}

// RoundTrip sends the request, and once more with a new certificate when the
// present one was not accepted and the request has no body that is spent.
func (t *roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	for repeated := false; ; repeated = true {
		connection, err := t.connections.get(req.Context(), t.entry.cluster)
		if err != nil {
			return nil, err
		}
		out, err := t.sealed(req)
		if err != nil {
			return nil, err
		}
		response, err := connection.transport.RoundTrip(out)
		if !rejected(t.entry, response, err) {
			return response, err
		}
		renewed := t.connections.reject(connection)
		if response != nil {
			response.Body.Close()
		}
		switch {
		case !renewed || repeated:
			return nil, refused(t.entry.cluster)
		case req.Body != nil && req.Body != http.NoBody && req.GetBody == nil:
			return nil, renewedLate(t.entry.cluster)
		}
	}
}

// sealed is a copy of the request with the caller's identity, and with a body
// of its own where that can be had: a caller's request has it once.
func (t *roundTripper) sealed(req *http.Request) (*http.Request, error) {
	out := req.Clone(req.Context())
	out.Trailer = nil
	seal(out.Header, t.entry.identity)
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		out.Body = body
	}
	return out, nil
}

// rejected tells whether the relay's certificate was not accepted. An
// application behind a proxy subresource inside may answer 401 on its own
// account; that is for the caller.
func rejected(e entry, response *http.Response, err error) bool {
	if err != nil {
		return isAlert(err)
	}
	return response.StatusCode == http.StatusUnauthorized && !isProxied(e.target.Path)
}

func refused(cluster *tenancy.VirtualCluster) error {
	return access.Unavailable(cluster, retryUnreachable, "CredentialRefused", "its API server does not accept the relay's certificate")
}

func renewedLate(cluster *tenancy.VirtualCluster) error {
	return access.Unavailable(cluster, retryRenewed, "CredentialRenewed", "its API server did not accept the relay's certificate, which has been renewed")
}

// bufferPool lends the buffers through which streams are copied.
type bufferPool struct{ pool sync.Pool }

const bufferSize = 32 << 10

func newBufferPool() *bufferPool {
	return &bufferPool{pool: sync.Pool{New: func() any { return new([bufferSize]byte) }}}
}

// Get lends a buffer.
func (p *bufferPool) Get() []byte { return p.pool.Get().(*[bufferSize]byte)[:] }

// Put takes a buffer back.
func (p *bufferPool) Put(b []byte) { p.pool.Put((*[bufferSize]byte)(b)) }
