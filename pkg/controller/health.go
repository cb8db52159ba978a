// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"net/http"

	"k8s.io/component-base/metrics"
)

// synced is what readiness asks.
type synced interface{ Synced() bool }

// newHandler is what there is to be asked; who may ask is not its business. A
// replica that stands by is ready when it could take over.
func newHandler(controller synced, gatherer metrics.Gatherer) http.Handler {
	mux := http.NewServeMux()
	alive := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }
	mux.HandleFunc("GET /livez", alive)
	// The older name of it, which many a probe still asks.
	mux.HandleFunc("GET /healthz", alive)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !controller.Synced() {
			http.Error(w, "the controller has not filled its caches yet: check that garret-apiserver runs", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /metrics", metrics.HandlerFor(gatherer, metrics.HandlerOpts{}))
	return mux
}
