// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"testing"

	"garret.dev/garret/test/framework"
)

// asReplica are the flags that the chart gives to one of several replicas. The
// delay is longer than it takes until a replica that is not ready gets no more
// connections; on a real host that takes some seconds.
var asReplica = []string{"--shutdown-delay-duration=10s", "--disable-http2-serving"}

// TestRollingRestartUnderLoad replaces two replicas one after the other, as a
// StatefulSet does.
func TestRollingRestartUnderLoad(t *testing.T) {
	var ports []int
	var replicas []*replica
	for range 2 {
		port, err := framework.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, port)
		replicas = append(replicas, process(t, port, asReplica...))
	}
	available(t)
	load := underLoad(t)
	for range 2 {
		for i := range replicas {
			if err := replicas[i].end(); err != nil {
				t.Errorf("SIGTERM: %v, want a clean end", err)
			}
			replicas[i] = process(t, ports[i], asReplica...)
		}
	}
	load.ExpectNone(t)
}
