package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestStartup prints what a start takes, from the start of the process to
// /readyz, with and without a seed and on existing data. A start without a seed
// is what the other two are compared with, in the same minutes.
func TestStartup(t *testing.T) {
	measure := func(name, dir string) time.Duration {
		began := time.Now()
		p := start(t, dir, freePort(t))
		p.ready(t)
		took := time.Since(began)
		t.Logf("%-13s ready after %v: %s", name, took.Round(time.Millisecond), phasesOf(p))
		p.stopEarly(t)
		return took
	}
	bare := measure("without seed", shortDir(t))
	installSeed(t)
	dir := shortDir(t)
	for _, name := range []string{"with seed", "restart"} {
		if took := measure(name, dir); took >= bare {
			t.Errorf("%s: took %v, and %v without a seed", name, took, bare)
		}
	}
}

// BenchmarkStartup measures the same for benchstat.
func BenchmarkStartup(b *testing.B) {
	for _, mode := range []string{"plain", "seeded"} {
		b.Run(mode, func(b *testing.B) {
			if mode == "seeded" {
				installSeed(b)
			}
			for b.Loop() {
				b.StopTimer()
				dir := shortDir(b)
				b.StartTimer()
				p := start(b, dir, freePort(b))
				p.ready(b)
				b.StopTimer()
				p.kill()
				os.RemoveAll(dir)
				b.StartTimer()
			}
		})
	}
}

func phasesOf(p *process) string {
	return regexp.MustCompile(`"Control plane started" .*`).FindString(p.log.String())
}

func containsPhase(p *process, name string) bool {
	return strings.Contains(phasesOf(p), " "+name+`="`)
}
