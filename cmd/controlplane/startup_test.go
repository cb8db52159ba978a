package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestStartup prints what a start takes, from the start of the process to
// /readyz, with and without a seed and on existing data. It fails only when a
// start takes longer than the slowest machine should: the figures are for the
// reader.
func TestStartup(t *testing.T) {
	const limit = 20 * time.Second
	measure := func(name, dir string) {
		began := time.Now()
		p := start(t, dir, freePort(t))
		p.ready(t)
		took := time.Since(began)
		t.Logf("%-13s ready after %v: %s", name, took.Round(time.Millisecond), phasesOf(p))
		if took > limit {
			t.Errorf("%s: took %v, want less than %v", name, took, limit)
		}
		p.stopEarly(t)
	}
	measure("without seed", shortDir(t))
	installSeed(t)
	dir := shortDir(t)
	measure("with seed", dir)
	measure("restart", dir)
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
