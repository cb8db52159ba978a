// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build bench

// Package soak loads garret-apiserver as a large host would, and beside it, in
// the same run, the host's own API server with a kind that Kubernetes serves
// itself: ConfigMaps of the same size, on the same kind of datastore.
package soak

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/aggregation"
)

const (
	// objects are there, spread over namespaces, while clients watch all of them.
	objects, namespaces, clients = 1000, 10, 50
	// writesPerSecond go on for duration; every client lists once in relist.
	writesPerSecond = 100
	duration        = 30 * time.Second
	relist          = 10 * time.Second
)

// environment is the host with garret-apiserver, which nothing else uses.
type environment struct {
	host *framework.ControlPlane
	pid  int
}

var shared environment

func TestMain(m *testing.M) { os.Exit(framework.Run(m, "soak", setUp)) }

func setUp(stage *framework.Stage) (err error) {
	if shared.host, err = stage.StartControlPlane("host", aggregation.HostFlag); err != nil {
		return err
	}
	garret, err := aggregation.Start(stage, shared.host)
	if err != nil {
		return err
	}
	shared.pid = garret.PID
	return nil
}

// BenchmarkSoak reports, for both kinds, what a write, a list of everything and
// the way of a change to a watcher take in milliseconds, at the median and for
// the slowest hundredth, and the first as a multiple of the second. A change
// that does not reach every watcher fails it.
func BenchmarkSoak(b *testing.B) {
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
	defer cancel()
	for range b.N {
		native := soak(ctx, b, kind{
			path: "/api/v1", resource: "configmaps", body: configMap,
		})
		ours := soak(ctx, b, kind{
			path: "/apis/" + v1.SchemeGroupVersion.String(), resource: "virtualclusters", body: virtualCluster,
		})
		for _, row := range []struct {
			name         string
			ours, native []time.Duration
		}{
			{"write", ours.writes, native.writes},
			{"list", ours.lists, native.lists},
			{"event", ours.events, native.events},
		} {
			b.ReportMetric(percentile(row.ours, 50), row.name+"-ms")
			b.ReportMetric(percentile(row.ours, 99), row.name+"-p99-ms")
			b.ReportMetric(percentile(row.ours, 50)/percentile(row.native, 50), row.name+"/native")
			b.ReportMetric(percentile(row.ours, 99)/percentile(row.native, 99), row.name+"-p99/native")
		}
		b.ReportMetric(ours.rate, "writes/s")
		b.ReportMetric(native.rate, "native-writes/s")
		resident, err := residentMiB(shared.pid)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(resident, "MiB")
		b.ReportMetric(0, "ns/op")
	}
}

// percentile in milliseconds.
func percentile(d []time.Duration, p int) float64 {
	sorted := slices.Sorted(slices.Values(d))
	return float64(sorted[min(len(sorted)-1, len(sorted)*p/100)]) / float64(time.Millisecond)
}

// residentMiB is the resident memory of a process.
func residentMiB(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	var size, resident float64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0, err
	}
	return resident * float64(os.Getpagesize()) / (1 << 20), nil
}
