// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package activity

import (
	"crypto/x509"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// Path is where the API server sends its events.
const Path = "/activity"

// maxBody is twice what the API server sends at once, as its flags have it.
const maxBody = 2 << 20

// readTimeout is how long the API server has to send them.
const readTimeout = 10 * time.Second

// Handler takes events from callers whose certificate is the API server's.
func (a *Activity) Handler(isAPIServer func(*x509.Certificate) bool) http.Handler {
	// One after the other: what is held in memory is one body.
	var turn sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 || !isAPIServer(r.TLS.PeerCertificates[0]) {
			http.Error(w, "only the API server may report activity", http.StatusUnauthorized)
			return
		}
		if r.Method != http.MethodPost {
			http.Error(w, "events are posted", http.StatusMethodNotAllowed)
			return
		}
		turn.Lock()
		defer turn.Unlock()
		// Some writers cannot bound it, in tests.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(readTimeout))
		var sent list
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&sent)
		if err != nil || sent.Kind != "EventList" || sent.APIVersion != "audit.k8s.io/v1" {
			http.Error(w, "the body is not an EventList of audit.k8s.io/v1", http.StatusBadRequest)
			return
		}
		a.note(sent.Items)
	})
}
