//go:build !before_1_36

package main

import "testing"

// stopEarly ends a server whose controllers may not run yet.
func (p *process) stopEarly(tb testing.TB) {
	tb.Helper()
	want(tb, "exit code of a stop soon after the start", p.stop(tb), 0)
}
