// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package footprint

import (
	"bufio"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// maps is a process with each sort of part.
const maps = `00400000-041f3000 r-xp 00000000 fe:00 42 /usr/bin/program
Rss:               51340 kB
Anonymous:             0 kB
041f3000-089de000 r--p 03df3000 fe:00 42 /usr/bin/program
Anonymous:             0 kB
089de000-08a00000 r--p 085de000 fe:00 42 /usr/bin/program
Anonymous:             4 kB
08a00000-08af8000 rw-p 085de000 fe:00 42 /usr/bin/program
Anonymous:             0 kB
08af8000-0ab62000 rw-p 00000000 00:00 0
Anonymous:             0 kB
7f0000000000-7f0000001000 r--p 00000000 fe:00 43 /usr/lib/other
Anonymous:             0 kB
7f0000001000-7f0000002000 r--s 00000000 fe:00 42 /usr/bin/program
Anonymous:             0 kB
7f0000002000-7f0000003000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
`

func TestOnlyCleanPartsOfTheProgram(t *testing.T) {
	got, err := clean(strings.NewReader(maps), "/usr/bin/program")
	if err != nil {
		t.Fatal(err)
	}
	if want := []span{{0x400000, 0x41f3000}, {0x41f3000, 0x89de000}}; !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestDamagedMapsAreAnError(t *testing.T) {
	if got, err := clean(strings.NewReader("x-y r-xp 00000000 fe:00 42 /usr/bin/program\n"), "/usr/bin/program"); err == nil {
		t.Errorf("got %v, want an error", got)
	}
}

// TestReleasedPagesComeBack lets go of this test's own program, and runs on.
func TestReleasedPagesComeBack(t *testing.T) {
	before := filePages(t)
	if err := ReleasePages(); err != nil {
		t.Fatal(err)
	}
	after := filePages(t)
	if after >= before {
		t.Errorf("the process has %d kB of files in memory after, %d before", after, before)
	}
	// The rest of the program is still what it was.
	TestOnlyCleanPartsOfTheProgram(t)
}

// filePages is how many kB of files this process has in memory.
func filePages(t *testing.T) (kilobytes int) {
	t.Helper()
	file, err := os.Open("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if rest, found := strings.CutPrefix(lines.Text(), "RssFile:"); found {
			for _, digit := range strings.TrimSuffix(strings.TrimSpace(rest), " kB") {
				kilobytes = 10*kilobytes + int(digit-'0')
			}
		}
	}
	return kilobytes
}

func TestLookFollowsUse(t *testing.T) {
	const limit = 1 << 40
	var percents []int
	var limits []int64
	var slacks []time.Duration
	var singles []bool
	var now usage
	collected, released := 0, 0
	watched := &tender{
		Settings: Settings{Busy: 50, Garbage: 10 << 20, Rate: 1 << 20, Report: func(err error) { t.Error(err) }},
		measure:  func() usage { return now },
		collect:  func() { collected++; now.heap = 50 << 20 },
		percent:  func(percent int) { percents = append(percents, percent) },
		limit:    func(bytes int64) int64 { limits = append(limits, bytes); return limit },
		release:  func() error { released++; return nil },
		slack:    func(slack time.Duration) error { slacks = append(slacks, slack); return nil },
		single:   func(one bool) { singles = append(singles, one) },
		most:     limit, filled: make(chan struct{}, 1), round: &atomic.Int64{},
	}
	now.total = 100 << 20
	for _, megabytes := range []uint64{300, 29, 1, 31, 500, 0} {
		now.allocated += megabytes << 20
		watched.look()
	}
	if want := []int{-1, 50, -1}; !slices.Equal(percents, want) {
		t.Errorf("percents: got %v, want %v", percents, want)
	}
	if want := []int64{142 << 20, limit, 142 << 20}; !slices.Equal(limits, want) {
		t.Errorf("limits: got %v, want %v", limits, want)
	}
	if want := []time.Duration{idleSlack, busySlack, idleSlack}; !slices.Equal(slacks, want) {
		t.Errorf("slack of timers: got %v, want %v", slacks, want)
	}
	if want := []bool{true, false, true}; !slices.Equal(singles, want) {
		t.Errorf("a thread at a time: got %v, want %v", singles, want)
	}
	if collected != 2 || released != 2 {
		t.Errorf("collected %d and released pages %d times, want at each of two beginnings", collected, released)
	}
	for range 2*looksToCollect + 1 {
		watched.look()
	}
	if want := 2 + 2*(1+(looksToCollect-1)/looksToRelease); collected != 4 || released != want {
		t.Errorf("collected %d and released pages %d times, want %d and %d in %d looks more", collected, released, 4, want, 2*looksToCollect+1)
	}
	for _, garbage := range []uint64{9, 10} {
		now.heap = (50 + garbage) << 20
		watched.look()
	}
	if collected != 5 {
		t.Errorf("collected %d times, want once more for ten megabytes of garbage", collected)
	}
	if len(slacks) != 3 {
		t.Errorf("slack of timers: got %v, want no more than three", slacks)
	}
}

// TestBurst has a process that is idle allocate much before the next look. What the collector
// does because of it is heard at once, and what it does at a request is not.
func TestBurst(t *testing.T) {
	if os.Getenv("GOGC") != "" {
		t.Skip("GOGC is set")
	}
	watched := newTender(Settings{Busy: 100, Garbage: 1 << 20, Rate: 1 << 40, Report: func(err error) { t.Error(err) }})
	t.Cleanup(func() { watched.wake() })
	watched.look()
	watched.rest()
	select {
	case <-watched.filled:
		t.Fatal("a collection that was asked for counts as use")
	case <-time.After(100 * time.Millisecond):
	}
	var kept []byte
	for range 100_000 {
		kept = make([]byte, 64<<10)
		if len(watched.filled) > 0 {
			break
		}
	}
	runtime.KeepAlive(kept)
	if len(watched.filled) == 0 {
		t.Fatal("six gigabytes were allocated, and nobody heard of it")
	}
	watched.wake()
	if got := debug.SetMemoryLimit(-1); got != watched.most {
		t.Errorf("the limit of memory is %d after, %d before", got, watched.most)
	}
	if got := debug.SetGCPercent(100); got != 100 {
		t.Errorf("the collector has %d percent, want what is for a process in use", got)
	}
}

// TestAllThreadsHaveTheSlack has threads that were there before, and one that was not.
func TestAllThreadsHaveTheSlack(t *testing.T) {
	t.Cleanup(func() {
		if err := SlackTimers(busySlack); err != nil {
			t.Error(err)
		}
	})
	if err := SlackTimers(idleSlack); err != nil {
		t.Fatal(err)
	}
	// It would panic if the threads had different ones.
	if got, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_GET_TIMERSLACK, 0, 0); errno != 0 || time.Duration(got) != idleSlack {
		t.Errorf("got a slack of %v, %v, want %v", time.Duration(got), errno, idleSlack)
	}
	got := make(chan time.Duration)
	for range 10 {
		go func() {
			// A goroutine that ends with its thread locked has another one begin in a new thread.
			runtime.LockOSThread()
			slack, _, _ := syscall.Syscall(unix.SYS_PRCTL, unix.PR_GET_TIMERSLACK, 0, 0)
			got <- time.Duration(slack)
		}()
		if slack := <-got; slack != idleSlack {
			t.Fatalf("a later thread has a slack of %v, want %v", slack, idleSlack)
		}
	}
}
