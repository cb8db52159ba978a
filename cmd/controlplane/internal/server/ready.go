package server

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"k8s.io/client-go/rest"
)

// readyInterval is short: what waits for readiness is a start that somebody
// is watching, and one request costs a fraction of a millisecond.
const readyInterval = 20 * time.Millisecond

// waitReady returns when /readyz answers 200, and calls answered once, when the
// server first answers at all.
func waitReady(ctx context.Context, loopback *rest.Config, answered func()) error {
	config := rest.CopyConfig(loopback)
	config.RateLimiter = nil
	config.QPS = -1
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return fmt.Errorf("readiness: %w", err)
	}
	ticker := time.NewTicker(readyInterval)
	defer ticker.Stop()
	first := true
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, config.Host+"/readyz", nil)
		if err != nil {
			return fmt.Errorf("readiness: %w", err)
		}
		if response, err := client.Do(request); err == nil {
			response.Body.Close()
			if first {
				answered()
				first = false
			}
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
