// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"strings"
	"testing"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// TestKubectlIsToldWhatFailed has kubectl ask in a virtual cluster that nobody
// but an administrator can bring up: it must say so, instead of waiting.
func TestKubectlIsToldWhatFailed(t *testing.T) {
	e := newEntrance(t)
	e.cluster.Status.Conditions, e.cluster.Status.Phase = nil, tenancy.Phase(v1.PhaseFailed)
	want := "virtual cluster team/demo is not available: its phase is Failed"
	for _, arguments := range [][]string{{"get", "--raw", "/api/v1/pods"}, {"get", "pods"}} {
		out, err := kubectl(t, e.kubeconfig(t, "alice"), nil, arguments...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("kubectl %q said %q (%v), want %q", arguments, out, err, want)
		}
	}
}
