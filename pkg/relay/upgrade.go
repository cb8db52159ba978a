// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"garret.dev/garret/pkg/access"
)

const (
	// upgradeTimeout bounds the time until the server inside answers a request
	// to upgrade, in which it may have to start a process.
	upgradeTimeout = time.Minute
	// maxRefusal bounds what is passed on of an answer that refuses an upgrade.
	maxRefusal = 1 << 20
)

var (
	errUpgradeForm     = errors.New("a request to upgrade needs exactly one Upgrade header, named in Connection, and HTTP/1.1")
	errUpgradeBody     = errors.New("a request to upgrade must not have a body")
	errUpgradeProtocol = errors.New("only upgrades to websocket (by GET) and SPDY/3.1 are relayed")
)

// wantsUpgrade is true for anything that some server might take for a request
// to upgrade.
func wantsUpgrade(h http.Header) bool {
	return len(h["Upgrade"]) > 0 || connectionNames(h, "upgrade")
}

func connectionNames(h http.Header, name string) bool {
	for _, value := range h["Connection"] {
		for token := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(token), name) {
				return true
			}
		}
	}
	return false
}

// upgradeProtocol is the protocol that the request wants to switch to, empty
// for an ordinary request. Only protocols that do not carry further HTTP
// requests are let through: see the package comment.
func upgradeProtocol(req *http.Request) (string, error) {
	if !wantsUpgrade(req.Header) {
		return "", nil
	}
	if len(req.Header["Upgrade"]) != 1 || !connectionNames(req.Header, "upgrade") || req.ProtoMajor != 1 {
		return "", errUpgradeForm
	}
	if req.ContentLength != 0 || len(req.TransferEncoding) > 0 {
		return "", errUpgradeBody
	}
	protocol := req.Header.Get("Upgrade")
	switch {
	case strings.EqualFold(protocol, "websocket") && req.Method == http.MethodGet:
	case strings.EqualFold(protocol, "SPDY/3.1") && (req.Method == http.MethodGet || req.Method == http.MethodPost):
	default:
		return "", errUpgradeProtocol
	}
	return protocol, nil
}

// tunnel asks the server inside to upgrade, and joins the two connections when
// it does. What it returns has not been written to w.
func (r *Relay) tunnel(w http.ResponseWriter, req *http.Request, e entry, protocol string) error {
	leave, ok := r.drain.enter()
	if !ok {
		return leaving(e.cluster)
	}
	defer leave()
	for repeated := false; ; repeated = true {
		connection, err := r.connections.get(req.Context(), e.cluster)
		if err != nil {
			return err
		}
		e.record.sent = time.Now()
		inside, err := connection.upgrade(req.Context(), upgradeRequest(req, e, protocol))
		if err == nil {
			e.record.answered = time.Now()
		}
		if err == nil && inside.response.StatusCode == http.StatusSwitchingProtocols {
			defer inside.conn.Close()
			if !inside.unbind() {
				return fmt.Errorf("upgrade: %w", context.DeadlineExceeded)
			}
			if !agreed(inside.response, protocol) {
				return access.BadGateway(e.cluster, "UpgradeFailed", "its API server switched to another protocol than the one asked for")
			}
			return r.join(w, req, e, inside, protocol)
		}
		var response *http.Response
		if err == nil {
			response = inside.response
		}
		if !rejected(e, response, err) {
			if err != nil {
				return err
			}
			defer inside.conn.Close()
			defer inside.unbind()
			return passRefusal(w, e, response)
		}
		if inside != nil {
			inside.unbind()
			inside.conn.Close()
		}
		if !r.connections.reject(connection) || repeated {
			return refused(e.cluster)
		}
	}
}

// upgradeRequest is the request to send inside, sealed.
func upgradeRequest(req *http.Request, e entry, protocol string) *http.Request {
	out := &http.Request{
		Method: req.Method, URL: e.target, Host: e.target.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: requestHeader(req),
	}
	seal(out.Header, e.identity)
	out.Header.Set("Connection", "Upgrade")
	out.Header.Set("Upgrade", protocol)
	return out
}

// upgrade sends a request to upgrade over a connection of its own, which is
// never used for another request. The caller closes it, and unbinds it when
// done with the answer.
func (c *connection) upgrade(ctx context.Context, out *http.Request) (*peer, error) {
	ctx, cancel := context.WithTimeout(ctx, upgradeTimeout)
	conn, err := c.dialTLS(ctx, "http/1.1")
	if err != nil {
		cancel()
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	// A header without end would be read into memory.
	head := &io.LimitedReader{R: conn, N: maxAnswerHeader}
	p := &peer{conn: conn, reader: bufio.NewReader(head)}
	p.unbind = func() bool {
		defer cancel()
		return stop()
	}
	if err = out.Write(conn); err == nil {
		p.response, err = http.ReadResponse(p.reader, out)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		p.unbind()
		conn.Close()
		return nil, fmt.Errorf("upgrade: %w", err)
	}
	head.N = math.MaxInt64
	return p, nil
}

// agreed tells whether the server switched to the protocol asked for.
func agreed(response *http.Response, protocol string) bool {
	values := response.Header["Upgrade"]
	return len(values) == 1 && strings.EqualFold(values[0], protocol) && connectionNames(response.Header, "upgrade")
}

// passRefusal passes on why the server inside did not upgrade. An answer
// without an error is none to a request to upgrade. The body is not closed but
// left with its connection: to close it is to read it to an end that may not come.
func passRefusal(w http.ResponseWriter, e entry, response *http.Response) error {
	cluster := e.cluster
	if response.StatusCode < 400 {
		return access.BadGateway(cluster, "UpgradeFailed", fmt.Sprintf("its API server answered %d to a request to upgrade", response.StatusCode))
	}
	if err := checkAnswer(cluster, response); err != nil {
		return err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxRefusal+1))
	if err != nil {
		return err
	}
	if response.StatusCode == http.StatusForbidden && !isProxied(e.target.Path) && deniesRelay(body) {
		return notLetIn(cluster)
	}
	if len(body) > maxRefusal {
		return access.BadGateway(cluster, "UpgradeFailed", fmt.Sprintf("its API server answered %d to a request to upgrade, with more than %d bytes", response.StatusCode, maxRefusal))
	}
	answerHeader(w.Header(), response)
	e.record.code = response.StatusCode
	w.WriteHeader(response.StatusCode)
	// An error here is the caller's connection; there is nobody left to tell.
	_, _ = w.Write(body)
	return nil
}
