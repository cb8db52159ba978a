// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"k8s.io/component-base/metrics"
)

// synced is what readiness asks.
type synced interface{ Synced() bool }

// serveHealth serves probes and metrics, in the clear: probes carry no
// credentials, and nothing here is secret. A replica that stands by is ready when
// it could take over.
func serveHealth(ctx context.Context, address string, controller synced, gatherer metrics.Gatherer) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	server := &http.Server{Handler: healthHandler(controller, gatherer), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("health: %w", err)
	}
	return nil
}

func healthHandler(controller synced, gatherer metrics.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !controller.Synced() {
			http.Error(w, "the caches are not filled yet: is garret-apiserver up?", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /metrics", metrics.HandlerFor(gatherer, metrics.HandlerOpts{}))
	return mux
}
