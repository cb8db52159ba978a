//go:build before_1_36

package main

import "testing"

// stopEarly ends a server whose controllers may not run yet. Upstream ends the
// process then, where it builds controllers.
func (p *process) stopEarly(tb testing.TB) {
	tb.Helper()
	if code := p.stop(tb); code != 0 && code != 1 {
		tb.Errorf("exit code of a stop soon after the start: got %d, want 0 or 1", code)
	}
}
