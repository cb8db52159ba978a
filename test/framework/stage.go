// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// keepVariable keeps the directory, logs and all, of tests that are over.
const keepVariable = "GARRET_INTEGRATION_KEEP"

// Stage holds what the tests of a package share, and ends it.
type Stage struct {
	// Dir is the stage's own. Its path is short, because that of a socket below
	// it may have 107 bytes.
	Dir string

	mu    sync.Mutex
	stops []func()
	logs  []logged
}

// logged is what leaves a log.
type logged interface {
	// Log is the end of it.
	Log() string
	logFile() string
}

// Run sets a stage up, runs the tests on it, and returns their exit code. The
// name tells whose directory it is.
func Run(m *testing.M, name string, setUp func(*Stage) error) int {
	dir, err := os.MkdirTemp("/tmp", name)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	stage := &Stage{Dir: dir}
	defer stage.remove()
	defer stage.stop()
	if err := setUp(stage); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if code != 0 {
		stage.printLogs()
	}
	return code
}

// OnStop has the stage call the function when the tests are over, before what
// was registered earlier.
func (s *Stage) OnStop(stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stops = append(s.stops, stop)
}

// Start runs a program that the build has made until the stage ends. Its
// files and its log lie in a directory of the name given.
func (s *Stage) Start(name, program string, args ...string) (*Process, error) {
	process, err := Start(filepath.Join(s.Dir, name), program, args...)
	if err != nil {
		return nil, err
	}
	s.show(process)
	s.OnStop(func() { _ = process.End(syscall.SIGTERM) })
	return process, nil
}

// StartProgram is as Start, for a program that is to be killed and started again.
func (s *Stage) StartProgram(name, program string, args ...string) (*Program, error) {
	p := NewProgram(filepath.Join(s.Dir, name), program, args...)
	if err := p.Start(); err != nil {
		return nil, err
	}
	s.show(p)
	s.OnStop(p.Stop)
	return p, nil
}

// show has the log printed when tests fail.
func (s *Stage) show(process logged) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logs = append(s.logs, process)
}

// Together calls the functions at the same time and waits for all of them.
func Together(functions ...func() error) error {
	errs := make([]error, len(functions))
	var group sync.WaitGroup
	for i, function := range functions {
		group.Go(func() { errs[i] = function() })
	}
	group.Wait()
	return errors.Join(errs...)
}

func (s *Stage) stop() {
	for i := len(s.stops) - 1; i >= 0; i-- {
		s.stops[i]()
	}
}

func (s *Stage) remove() {
	if os.Getenv(keepVariable) != "" {
		fmt.Fprintln(os.Stderr, "kept:", s.Dir)
		return
	}
	_ = os.RemoveAll(s.Dir)
}

func (s *Stage) printLogs() {
	for _, each := range s.logs {
		fmt.Fprintf(os.Stderr, "--- the end of %s\n%s\n", strings.TrimPrefix(each.logFile(), s.Dir+"/"), each.Log())
	}
}
