// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package footprint

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// idleSlack is how late timers may go off while nobody uses the process. A control plane is
	// woken 84 times a second without it, and 30 times with it.
	idleSlack = 50 * time.Millisecond
	// busySlack is what Linux gives a process that asks for nothing.
	busySlack = 50 * time.Microsecond
)

// SlackTimers lets the kernel wake the threads of the process that much later than their timers ask,
// so that several go off at once. It has no effect on what waits for a connection or a file,
// and hardly any while the processor is busy. Threads that are made later have it, too. The process
// stands still until each thread has taken note, so this is nothing to do often.
func SlackTimers(slack time.Duration) error {
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, uintptr(slack), 0); errno != 0 {
		return fmt.Errorf("slack timers: %w", errno)
	}
	return nil
}
