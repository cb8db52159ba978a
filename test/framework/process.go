// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// logTail is how many bytes of a log tell why a process ended.
const logTail = 4000

// Process is a program that runs until End, or until the tests are gone.
type Process struct {
	command *exec.Cmd
	log     string
	exited  chan struct{}
	err     error
}

// Binary finds what the build has made.
func Binary(name string) (string, error) { return inTree("bin", name) }

// Artifact finds a file below artifacts.
func Artifact(path string) (string, error) { return inTree("artifacts", path) }

// Document finds a document for users.
func Document(path string) (string, error) { return inTree("docs", path) }

// inTree finds what must be in a folder of the source tree.
func inTree(folder, name string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, folder, name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s must have been built: %w", name, err)
	}
	return path, nil
}

// Root is the top of the source tree, which holds the go.work: the tests run in
// the directory of their package, wherever below it that is.
func Root() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.work lies above %s", start)
		}
	}
}

// Start runs a program that the build has made. Its output is appended to a log in dir.
func Start(dir, program string, args ...string) (*Process, error) {
	path, err := Binary(program)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	p := &Process{log: filepath.Join(dir, "log"), exited: make(chan struct{})}
	output, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	p.command = exec.Command(path, args...)
	p.command.Stdout, p.command.Stderr = output, output
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.command.Start(); err != nil {
		output.Close()
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	go func() {
		defer close(p.exited)
		defer output.Close()
		p.err = p.command.Wait()
	}()
	return p, nil
}

// PID is the process's id.
func (p *Process) PID() int { return p.command.Process.Pid }

// End sends the signal, waits for the end, and returns how the process ended,
// which is by force if it takes too long. It may be called again.
func (p *Process) End(signal os.Signal) error {
	_ = p.command.Process.Signal(signal)
	select {
	case <-p.exited:
	case <-time.After(Timeout):
		_ = p.command.Process.Kill()
		<-p.exited
	}
	return p.err
}

// Ended is an error with the end of the log if the process does not run any more.
func (p *Process) Ended() error {
	select {
	case <-p.exited:
		return fmt.Errorf("%s has ended (%v):\n%s", filepath.Base(p.command.Path), p.err, p.Log())
	default:
		return nil
	}
}

// Log is the end of what the process wrote.
func (p *Process) Log() string {
	text, _ := os.ReadFile(p.log)
	return string(text[max(0, len(text)-logTail):])
}

func (p *Process) logFile() string { return p.log }

// lastPort is where FreePort goes on: never twice at one place, and other processes
// began elsewhere.
var lastPort atomic.Uint32

func init() { lastPort.Store(rand.Uint32N(1 << 20)) }

// FreePort is one of loopback on which nothing listens. It is none that the system
// gives to those who ask for any, in the time until somebody listens here.
func FreePort() (int, error) {
	const first, last = 18000, 28000
	var refused error
	for range 100 {
		port := first + int(lastPort.Add(1)%(last-first))
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, listener.Close()
		}
		refused = err
	}
	return 0, fmt.Errorf("no free port: %w", refused)
}
