// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/access"
)

const (
	handshakeTimeout = 10 * time.Second
	idleTimeout      = 90 * time.Second
	// streamWindow is how much of one answer is taken before its reader has:
	// enough for full speed inside a cluster, little enough for many slow readers.
	streamWindow = 512 << 10
)

// connections keeps, for each virtual cluster, the connections that are
// authenticated with one credential. A server checks a certificate on each
// request, not on each connection, so a new credential needs new connections;
// those of the old one end when their last request does.
type connections struct {
	credentials *access.Credentials
	dial        access.Dialer
	metrics     *Metrics

	mu     sync.Mutex
	latest map[types.UID]*connection
}

// connection is how to reach one virtual cluster with one credential.
type connection struct {
	cluster    *tenancy.VirtualCluster
	credential *access.Credential
	tls        *tls.Config
	dial       access.Dialer
	metrics    *Metrics
	// transport is for ordinary requests, over HTTP/2.
	transport *http.Transport
}

func newConnections(credentials *access.Credentials, dial access.Dialer, metrics *Metrics) *connections {
	return &connections{credentials: credentials, dial: dial, metrics: metrics, latest: map[types.UID]*connection{}}
}

// get returns the connection of the cluster's present credential.
func (c *connections) get(ctx context.Context, cluster *tenancy.VirtualCluster) (*connection, error) {
	credential, err := c.credentials.Get(ctx, cluster)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &credentialError{err}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.latest[cluster.UID]
	if old != nil && old.credential == credential {
		return old, nil
	}
	current, err := newConnection(cluster, credential, c.dial, c.metrics)
	if err != nil {
		return nil, &credentialError{err}
	}
	c.latest[cluster.UID] = current
	c.metrics.credentials.Inc()
	if old != nil {
		old.transport.CloseIdleConnections()
	}
	c.prune(time.Now())
	return current, nil
}

// reject reports that the server did not accept the connection's credential. It
// tells whether there is another to try.
func (c *connections) reject(rejected *connection) bool {
	c.metrics.rejections.Inc()
	return c.credentials.Reject(rejected.cluster, rejected.credential)
}

// prune forgets the clusters whose credential was not renewed, with c.mu held.
func (c *connections) prune(now time.Time) {
	for uid, connection := range c.latest {
		if now.After(connection.credential.NotAfter()) {
			connection.transport.CloseIdleConnections()
			delete(c.latest, uid)
		}
	}
}

func newConnection(cluster *tenancy.VirtualCluster, credential *access.Credential, dial access.Dialer, metrics *Metrics) (*connection, error) {
	tlsConfig, err := access.TLSConfig(cluster)
	if err != nil {
		return nil, err
	}
	tlsConfig.Certificates = []tls.Certificate{credential.Certificate}
	c := &connection{cluster: cluster, credential: credential, tls: tlsConfig, dial: dial, metrics: metrics}
	c.transport = &http.Transport{
		// Whatever host a request names, it goes to the cluster.
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return c.dialTLS(ctx, "h2", "http/1.1")
		},
		ForceAttemptHTTP2:   true,
		IdleConnTimeout:     idleTimeout,
		MaxIdleConnsPerHost: 16,
		// The caller's own Accept-Encoding is passed on, and so is the answer.
		DisableCompression: true,
		// A header is read into memory.
		MaxResponseHeaderBytes: maxAnswerHeader,
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerStream: streamWindow,
			// Fewer, larger frames for long lists.
			MaxReadFrameSize: 128 << 10,
			// A peer that vanished silently is noticed.
			SendPingTimeout: 30 * time.Second,
			PingTimeout:     15 * time.Second,
		},
	}
	return c, nil
}

// dialTLS opens a connection to the cluster's API server, which has proved who
// it is when this returns.
func (c *connection) dialTLS(ctx context.Context, protocols ...string) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	raw, err := c.dial(ctx, "tcp", access.Address(c.cluster, v1.PortHTTPS))
	if err != nil {
		c.metrics.dialErrors.WithLabelValues("unreachable").Inc()
		return nil, &dialError{err}
	}
	config := c.tls.Clone()
	config.NextProtos = protocols
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		reason := "unreachable"
		if isIdentityError(err) {
			reason = "identity"
		}
		c.metrics.dialErrors.WithLabelValues(reason).Inc()
		return nil, &dialError{fmt.Errorf("tls handshake: %w", err)}
	}
	return conn, nil
}
