// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package datastore

import (
	"testing"

	"garret.dev/garret/test/framework/database"
)

// TestSilentConnections loses what comes over the connections that a datastore
// has, without a word, while its server goes on and takes new ones: its watches
// must learn of what others write, in seconds and not when TCP gives up.
func TestSilentConnections(t *testing.T) {
	onEach(t, func(t *testing.T, s *database.Server) {
		proxy := s.Proxy(t)
		other, cutOff := open(t, s, s.Endpoint), open(t, s, proxy.Of(s.Endpoint))
		// Garret reads the log for itself, too. kine alone has nothing but the limit
		// of the connections, which opening the others has set.
		plain := openPlain(t, s, proxy.Of(s.Endpoint))
		from := create(t, other, prefix+"before")
		watch, plainWatch := cutOff.Watch(t.Context(), from), plain.Watch(t.Context(), from)
		want(t, "the watch", until(t, watch, from, "before"), "before")
		want(t, "the watch of kine alone", until(t, plainWatch, from, "before"), "before")

		proxy.Swallow(t)
		create(t, other, prefix+"after")
		want(t, "the watch, later", until(t, watch, from, "after"), "after")
		want(t, "the watch of kine alone, later", until(t, plainWatch, from, "after"), "after")
		create(t, cutOff, prefix+"own")
		want(t, "the watch, in the end", until(t, watch, from, "own"), "own")
	})
}
