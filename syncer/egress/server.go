// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"
)

const (
	// ClusterSocket and ControlPlaneSocket are the names of the sockets, after the
	// selections of the egress selector configuration.
	ClusterSocket      = "cluster.sock"
	ControlPlaneSocket = "controlplane.sock"

	dialTimeout   = 10 * time.Second
	headerTimeout = 10 * time.Second
	// maxReason is more than any refusal takes; an error of the network may have more to say.
	maxReason = 400
	// maxHeader is many times what a CONNECT takes.
	maxHeader = 16 << 10
)

// Server serves one door at a Unix socket.
type Server struct {
	listener net.Listener
	door     *Door
}

// Listen creates the socket in the directory, replacing one that an earlier
// process left. Only processes of the same user can open it.
func Listen(directory, name string, door *Door) (*Server, error) {
	path := filepath.Join(directory, name)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("egress: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("egress: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		listener.Close()
		return nil, fmt.Errorf("egress: %w", err)
	}
	return &Server{listener: listener, door: door}, nil
}

// Run serves until the context ends, which also ends the connections.
func (s *Server) Run(ctx context.Context) error {
	server := &http.Server{
		Handler:           http.HandlerFunc(s.connect),
		ReadHeaderTimeout: headerTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve egress at %s: %w", s.listener.Addr(), err)
	}
	return nil
}

// connect answers one CONNECT, and carries what comes after it.
func (s *Server) connect(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "only CONNECT is served here", http.StatusMethodNotAllowed)
		return
	}
	ctx := r.Context()
	remote, err := s.dial(ctx, r.URL.Host)
	inward, _, hijackErr := http.NewResponseController(w).Hijack()
	if hijackErr != nil {
		klog.FromContext(ctx).Error(hijackErr, "Cannot take over a connection")
		if remote != nil {
			remote.Close()
		}
		return
	}
	defer inward.Close()
	if err != nil {
		code := http.StatusBadGateway
		var refusal Refusal
		if errors.As(err, &refusal) {
			code = http.StatusForbidden
		}
		klog.FromContext(ctx).V(1).Info("Refused a connection of the API server", "target", r.URL.Host, "reason", err)
		answer(inward, code, err.Error())
		return
	}
	defer remote.Close()
	if !answer(inward, http.StatusOK, "") {
		return
	}
	stop := context.AfterFunc(ctx, func() { inward.Close(); remote.Close() })
	defer stop()
	carry(inward, remote)
}

// answer writes a status line. The API server shows its reason to whoever asked.
func answer(w io.Writer, code int, reason string) bool {
	reason = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, reason)
	if len(reason) > maxReason {
		reason = reason[:maxReason]
	}
	if code == http.StatusOK {
		reason = "Connection established"
	}
	_, err := fmt.Fprintf(w, "HTTP/1.1 %d %s\r\n\r\n", code, reason)
	return err == nil
}

// dial connects to what was asked for, if the door opens.
func (s *Server) dial(ctx context.Context, asked string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	targets, err := s.door.Open(ctx, asked)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, target := range targets {
		connection, err := dialOne(ctx, target)
		if err == nil {
			return connection, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func dialOne(ctx context.Context, target netip.AddrPort) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", target.String())
}

// carry copies both ways until both sides have ended.
func carry(inward, remote net.Conn) {
	var group errgroup.Group
	group.Go(func() error { return flow(remote, inward) })
	group.Go(func() error { return flow(inward, remote) })
	_ = group.Wait()
}

// flow copies until the source ends, and ends the destination's side of it. An
// error ends both: half of a broken connection helps nobody.
func flow(to, from net.Conn) error {
	_, err := io.Copy(to, from)
	if err == nil {
		if half, ok := to.(interface{ CloseWrite() error }); ok {
			return half.CloseWrite()
		}
	}
	to.Close()
	from.Close()
	return err
}
