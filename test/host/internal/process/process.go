// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package process starts programs that outlive the one that started them, and
// finds and stops exactly those again.
//
// Each has a record on disk. A pid alone may have passed to a stranger since,
// so the record also holds when the process started, as the kernel counts it:
// the two together name one process for as long as the machine runs.
package process

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// replaceGrace is how long a process may take to make way for its successor.
const replaceGrace = 3 * time.Second

// poll is how often the end of a process is looked for.
const poll = 10 * time.Millisecond

// Spec is a program to run in the background.
type Spec struct {
	// Name is unique within a folder and names record and log.
	Name string
	// Args is the command line, program first.
	Args []string
	// Env is the whole environment.
	Env []string
	// Inputs are files that the program reads at its start and not again.
	Inputs []string
	// NetNS, if not empty, is the file of the network namespace to run in.
	NetNS string
}

// Folder keeps records and logs of background processes.
type Folder struct {
	// Records is where the records lie, Logs where each writes NAME.log.
	Records, Logs string
}

// record is what is kept of a process.
type record struct {
	PID int `json:"pid"`
	// Started is the start time in clock ticks since boot.
	Started uint64   `json:"started"`
	Boot    string   `json:"boot"`
	Args    []string `json:"args"`
	// Inputs is a digest of the input files.
	Inputs string `json:"inputs"`
	// LogFrom is where its output begins in the log, which earlier runs wrote
	// to as well.
	LogFrom int64 `json:"logFrom"`
}

// Start runs the program unless it runs already with the same command line and
// inputs; one with others is stopped first. It reports whether it started
// anything.
func (f Folder) Start(ctx context.Context, spec Spec) (bool, error) {
	inputs, err := digest(spec.Inputs)
	if err != nil {
		return false, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	if old, alive := f.find(spec.Name); alive {
		if slices.Equal(old.Args, spec.Args) && old.Inputs == inputs {
			return false, nil
		}
		if err := f.Stop(ctx, spec.Name, replaceGrace); err != nil {
			return false, err
		}
	}
	if err := f.launch(spec, inputs); err != nil {
		return false, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	return true, nil
}

// launch starts the program and records it.
func (f Folder) launch(spec Spec, inputs string) error {
	if err := errors.Join(os.MkdirAll(f.Records, 0o755), os.MkdirAll(f.Logs, 0o755)); err != nil {
		return err
	}
	log, err := os.OpenFile(f.Log(spec.Name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() // the child holds its own descriptor
	logFrom, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	args := spec.Args
	if spec.NetNS != "" {
		// nsenter becomes the program, under the same pid. Unlike "ip netns
		// exec" it leaves /sys alone, in which a kubelet looks for cgroups.
		args = append([]string{"nsenter", "--net=" + spec.NetNS, "--"}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = spec.Env, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	// Read before anybody can reap it, so that it is this process's own.
	started, err := startTime(cmd.Process.Pid)
	go func() { _ = cmd.Wait() }() // or it would stay a zombie as long as we run
	if err != nil {
		return fmt.Errorf("ended at once: %s", lastError(f.Log(spec.Name), logFrom))
	}
	rec := record{PID: cmd.Process.Pid, Started: started, Boot: bootID(), Args: spec.Args, Inputs: inputs, LogFrom: logFrom}
	data, err := json.Marshal(rec)
	if err == nil {
		err = os.WriteFile(f.recordFile(spec.Name), data, 0o644)
	}
	if err != nil {
		return errors.Join(err, cmd.Process.Kill())
	}
	return nil
}

// Stop ends the process with SIGTERM, and after the grace with SIGKILL. A
// process which does not run is no error.
func (f Folder) Stop(ctx context.Context, name string, grace time.Duration) error {
	rec, alive := f.find(name)
	if alive {
		if grace > 0 {
			_ = syscall.Kill(rec.PID, syscall.SIGTERM)
			waitCtx, cancel := context.WithTimeout(ctx, grace)
			_ = f.waitGone(waitCtx, name)
			cancel()
		}
		if _, alive = f.find(name); alive {
			_ = syscall.Kill(rec.PID, syscall.SIGKILL)
			waitCtx, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			if err := f.waitGone(waitCtx, name); err != nil {
				return fmt.Errorf("stop %s (pid %d): %w", name, rec.PID, err)
			}
		}
	}
	if err := os.Remove(f.recordFile(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("stop %s: %w", name, err)
	}
	return nil
}

// Kill sends SIGKILL and waits for the end.
func (f Folder) Kill(ctx context.Context, name string) error { return f.Stop(ctx, name, 0) }

// PID is the pid of a running process; ok is false where it does not run.
func (f Folder) PID(name string) (pid int, ok bool) {
	rec, alive := f.find(name)
	return rec.PID, alive
}

// Names lists every process that has a record, running or not.
func (f Folder) Names() ([]string, error) {
	entries, err := os.ReadDir(f.Records)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if name, ok := strings.CutSuffix(entry.Name(), ".json"); ok {
			names = append(names, name)
		}
	}
	return names, nil
}

// LastError is the line of the log that best tells why a process ended.
func (f Folder) LastError(name string) string {
	rec, _ := f.find(name)
	return lastError(f.Log(name), rec.LogFrom)
}

// Log is the file that a process writes its output to.
func (f Folder) Log(name string) string { return filepath.Join(f.Logs, name+".log") }

func (f Folder) recordFile(name string) string { return filepath.Join(f.Records, name+".json") }

// find reads a record and tells whether the very process in it still runs.
func (f Folder) find(name string) (record, bool) {
	var rec record
	data, err := os.ReadFile(f.recordFile(name))
	if err != nil || json.Unmarshal(data, &rec) != nil {
		return record{}, false
	}
	started, err := startTime(rec.PID)
	return rec, err == nil && started == rec.Started && rec.Boot == bootID()
}

func (f Folder) waitGone(ctx context.Context, name string) error {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		if _, alive := f.find(name); !alive {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// startTime reads field 22 of /proc/PID/stat. A zombie counts as gone.
func startTime(pid int) (uint64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The command's name stands in brackets and may hold anything.
	_, rest, ok := strings.Cut(string(data[strings.LastIndexByte(string(data), ')'):]), " ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return 0, fmt.Errorf("pid %d: stat has %d fields", pid, len(fields))
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return 0, fmt.Errorf("pid %d has ended", pid)
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

// digest tells whether files have the same content as before.
func digest(files []string) (string, error) {
	sum := sha256.New()
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s %d\n", file, len(data))
		sum.Write(data)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// bootID changes with every boot, after which pids and clock ticks start anew.
func bootID() string {
	data, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(data))
}
