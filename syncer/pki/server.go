// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"k8s.io/klog/v2"
)

const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	stopTimeout   = 2 * time.Second
	maxHeader     = 64 << 10
)

// Serve answers HTTPS requests at the listener until the context ends, which also
// ends the contexts of requests under way. Name is for messages.
func Serve(ctx context.Context, name string, listener net.Listener, config *tls.Config, handler http.Handler) error {
	logger := klog.FromContext(ctx).WithValues("server", name, "address", listener.Addr().String())
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		// Everybody who finds the port can cause failed handshakes: the log has them at a
		// higher level only.
		ErrorLog: log.New(connectionLog{logger}, "", 0),
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		//nolint:contextcheck // The parent is over; this is the time for the rest.
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if err := server.Shutdown(grace); err != nil {
			server.Close()
		}
	})
	logger.V(1).Info("Serving")
	err := server.Serve(tls.NewListener(listener, config))
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve %s at %s: %w", name, listener.Addr(), err)
}

type connectionLog struct{ logger klog.Logger }

var _ io.Writer = connectionLog{}

func (l connectionLog) Write(line []byte) (int, error) {
	l.logger.V(4).Info("Connection ended", "reason", string(line))
	return len(line), nil
}
