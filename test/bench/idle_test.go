// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build bench

package bench

import (
	"os"
	"testing"
	"time"

	"garret.dev/garret/test/suite"
)

const (
	// calm is how long a start takes to be over, where GARRET_BENCH_CALM does not say: certificates,
	// first lists, and the collections of garbage after them.
	calm = time.Minute
	// watched is how long the processor time of what is idle is taken, at least. Where it was calm
	// for longer, that is as long: one collection of garbage, each four minutes, takes as much
	// as all else in a minute.
	watched = 2 * time.Minute
)

// BenchmarkIdle measures the share of a core that a virtual cluster without users takes,
// beside a bare kube-apiserver on etcd in the same minutes, and its memory.
func BenchmarkIdle(b *testing.B) {
	shared.Namespace(b, namespace)
	const name = "idle"
	shared.VirtualCluster(b, namespace, name)
	_, parts := startBare(b)
	after := calm
	if text := os.Getenv("GARRET_BENCH_CALM"); text != "" {
		var err error
		if after, err = time.ParseDuration(text); err != nil {
			b.Fatalf("GARRET_BENCH_CALM=%s: want a duration such as 15m", text)
		}
	}
	pause(b, after)

	taken := func() map[string]time.Duration {
		sums := map[string]time.Duration{}
		for container, id := range containers(b, name) {
			took, err := suite.CPUTime(id)
			if err != nil {
				b.Fatal(err)
			}
			sums[container] = took
			sums["pod"] += took
		}
		for _, part := range parts {
			took, err := suite.ProcessCPUTime(part.PID())
			if err != nil {
				b.Fatal(err)
			}
			sums["bare"] += took
		}
		return sums
	}
	before := taken()
	start := time.Now()
	pause(b, max(watched, after))
	now, elapsed := taken(), time.Since(start)
	for who := range now {
		b.ReportMetric(100*(now[who]-before[who]).Seconds()/elapsed.Seconds(), who+"-%")
	}
	reportMemory(b, name)
	b.ReportMetric(float64(now["pod"]-before["pod"])/float64(now["bare"]-before["bare"]), "pod/bare")
	shared.Admin().Do(b, "delete", "vc", name, "-n", namespace, "--timeout=120s")
}

func pause(b *testing.B, d time.Duration) {
	select {
	case <-time.After(d):
	case <-b.Context().Done():
		b.Fatal(b.Context().Err())
	}
}
