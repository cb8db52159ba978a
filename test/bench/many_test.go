// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build bench

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"garret.dev/garret/test/suite"
)

const (
	// many is how many virtual clusters there are, where GARRET_BENCH_CLUSTERS does not say.
	many = 50
	// askedRounds is how often each of them is asked.
	askedRounds = 5
)

// BenchmarkMany fills the machine with virtual clusters that nobody uses, and measures how
// fast each of them still answers, and what one more costs: of a core, and of memory.
func BenchmarkMany(b *testing.B) {
	count := many
	if text := os.Getenv("GARRET_BENCH_CLUSTERS"); text != "" {
		var err error
		if count, err = strconv.Atoi(text); err != nil || count < 2 {
			b.Fatalf("GARRET_BENCH_CLUSTERS=%s: want a number of at least 2", text)
		}
	}
	shared.Namespace(b, namespace)
	name := func(i int) string { return fmt.Sprintf("many-%d", i) }
	create := func(i int) {
		shared.Admin().Apply(b, suite.Object(namespace, name(i), "{}"))
		shared.Admin().Do(b, "wait", "--for=condition=Ready", "virtualcluster/"+name(i), "-n", namespace, "--timeout=180s")
	}
	// The first has the images, and the pages of the programs, in memory.
	create(0)
	pause(b, calm)
	freeBefore, _ := machine(b)
	for i := 1; i < count; i++ {
		start := time.Now()
		create(i)
		b.Logf("%d virtual clusters, the last ready after %s", i+1, time.Since(start).Round(100*time.Millisecond))
	}
	pause(b, 2*calm)
	freeAfter, _ := machine(b)
	b.ReportMetric(float64(count), "clusters")
	b.ReportMetric(float64(freeBefore-freeAfter)/float64(count-1)/(1<<20), "one-more-MiB")

	start := time.Now()
	_, busyIdle := machine(b)
	pause(b, calm)
	_, busyEnd := machine(b)
	b.ReportMetric(100*(busyEnd-busyIdle).Seconds()/time.Since(start).Seconds()/float64(count), "machine/cluster-%")

	took := answers(b, count, name)
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "GET-median-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "GET-99%-ms")
}

// answers is how long each of the virtual clusters takes for a GET through the relay, in
// several askedRounds.
func answers(b *testing.B, count int, name func(int) string) []time.Duration {
	var clients []kubernetes.Interface
	for i := range count {
		config, err := clientcmd.BuildConfigFromFlags("", shared.ThroughRelay(b, shared.Kubeconfig, namespace, name(i)).Kubeconfig)
		if err != nil {
			b.Fatal(err)
		}
		clients = append(clients, kubernetes.NewForConfigOrDie(config))
	}
	var took []time.Duration
	for round := range askedRounds {
		for i, client := range clients {
			ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
			start := time.Now()
			_, err := client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceDefault, metav1.GetOptions{})
			cancel()
			if err != nil {
				b.Fatalf("%s: %v", name(i), err)
			}
			// The first round opens connections.
			if round > 0 {
				took = append(took, time.Since(start))
			}
		}
	}
	return took
}

// machine is how many bytes of memory are available, and how long its processors have worked.
func machine(b *testing.B) (available int64, busy time.Duration) {
	memory, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(memory)) {
		if rest, found := strings.CutPrefix(line, "MemAvailable:"); found {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			available = kilobytes << 10
		}
	}
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(stat))
	if available == 0 || len(fields) < 9 {
		b.Fatal(errors.New("the kernel does not tell its memory and its work"))
	}
	// user, nice, system, and after idle and iowait: irq, softirq.
	for _, at := range []int{1, 2, 3, 6, 7} {
		ticks, err := strconv.ParseInt(fields[at], 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		busy += time.Duration(ticks) * 10 * time.Millisecond
	}
	return available, busy
}
