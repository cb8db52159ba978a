// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ContainerID tells which container runs now under a name in the first pod
// that the selector matches; an empty name means the pod's first one.
func (s *Suite) ContainerID(namespace, selector, container string) (string, error) {
	out, err := s.Admin().Try("get", "pods", "-n", namespace, "-l", selector, "-o",
		`jsonpath={range .items[*].status.containerStatuses[*]}{.name}{"="}{.containerID}{"\n"}{end}`)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		name, id, _ := strings.Cut(strings.TrimSpace(line), "=containerd://")
		if id != "" && (container == "" || container == name) {
			return id, nil
		}
	}
	return "", fmt.Errorf("no running container %q in %q", container, out)
}

// Processes are those of a container, found by its id in their cgroup's path,
// which the process provider makes visible to the tests.
func Processes(containerID string) ([]int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(content), containerID) {
			continue // processes come and go
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// Kill sends SIGKILL to every process of a container and returns how many there were.
func Kill(containerID string) (int, error) { return send(containerID, syscall.SIGKILL) }

func send(containerID string, with syscall.Signal) (int, error) {
	pids, err := Processes(containerID)
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, with); err != nil && !errors.Is(err, syscall.ESRCH) {
			return 0, fmt.Errorf("sending %s to process %d: %w", with, pid, err)
		}
	}
	return len(pids), nil
}

// Memory is what the processes of a container hold in memory.
type Memory struct {
	// Resident is all of it. Private is what no other process has: of the program
	// itself, processes of one image share what is in memory.
	Resident, Private int64
}

// MemoryOf adds up the memory of a container's processes, in bytes.
func MemoryOf(containerID string) (Memory, error) {
	pids, err := Processes(containerID)
	if err != nil {
		return Memory{}, err
	}
	var total Memory
	for _, pid := range pids {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(content))
		if len(fields) < 3 {
			return Memory{}, fmt.Errorf("process %d: statm holds %q", pid, content)
		}
		resident, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return Memory{}, err
		}
		mapped, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			return Memory{}, err
		}
		page := int64(os.Getpagesize())
		total.Resident += resident * page
		total.Private += (resident - mapped) * page
	}
	return total, nil
}

// CPUTime is the processor time that the processes of a container have taken so far.
func CPUTime(containerID string) (time.Duration, error) {
	pids, err := Processes(containerID)
	if err != nil {
		return 0, err
	}
	var total time.Duration
	for _, pid := range pids {
		taken, err := ProcessCPUTime(pid)
		if err != nil {
			return 0, err
		}
		total += taken
	}
	return total, nil
}

// ProcessCPUTime is the processor time that one process has taken so far. The kernel
// counts it in hundredths of a second.
func ProcessCPUTime(pid int) (time.Duration, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field, the program's name, may hold spaces.
	_, rest, _ := strings.Cut(string(content), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("process %d: stat holds %q", pid, content)
	}
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}
