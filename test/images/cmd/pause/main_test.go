// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"
)

// asPause, set in the environment, makes the test binary behave as pause.
const asPause = "TEST_AS_PAUSE"

func TestMain(m *testing.M) {
	if os.Getenv(asPause) == "" {
		os.Exit(m.Run())
	}
	// As the init of a pod: orphans below become our children.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// The shell ends at once and leaves a child, which ends when pause is surely waiting.
	if err := exec.Command("sh", "-c", "sleep 1 & :").Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	main()
}

func TestPauseReapsAndEnds(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asPause+"=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	had := false
	err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
		children := childrenOf(cmd.Process.Pid)
		had = had || children != ""
		return had && children == "", nil
	})
	if err != nil {
		t.Errorf("children: %v, had any: %t", err, had)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: got %v, want an orderly end", err)
	}
}

// childrenOf lists the children of all threads of a process, zombies too.
func childrenOf(pid int) string {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	var all string
	for _, file := range threads {
		data, _ := os.ReadFile(file) // a thread that has ended has none
		all += string(data)
	}
	return all
}
