// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package syncer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// health serves /healthz and /readyz, in the clear: probes carry no credentials, and
// nothing here is secret. Metrics are served by the issuer, to garret-apiserver.
type health struct {
	address string
	// unready is why the syncer is not ready; nil when it is.
	unready atomic.Pointer[string]
}

func newHealth(bind string, port int) *health {
	h := &health{address: net.JoinHostPort(bind, strconv.Itoa(port))}
	h.set("starting")
	return h
}

// set says why the syncer is not ready; nothing means that it is.
func (h *health) set(reason string) {
	if reason == "" {
		h.unready.Store(nil)
		return
	}
	h.unready.Store(&reason)
}

func (h *health) run(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if reason := h.unready.Load(); reason != nil {
			http.Error(w, *reason, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	server := &http.Server{Addr: h.address, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve health: %w", err)
	}
	return nil
}
