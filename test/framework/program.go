// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"fmt"
	"os"
	"syscall"
)

// Program is a process that can be killed and started again with the same arguments.
type Program struct {
	dir, program string
	args         []string
	process      *Process
}

// NewProgram returns a program that is not started yet. Its log lies in dir.
func NewProgram(dir, program string, args ...string) *Program {
	return &Program{dir: dir, program: program, args: args}
}

// Args are those that it is started with.
func (p *Program) Args() []string { return p.args }

// Start starts it.
func (p *Program) Start() error {
	if p.process != nil && p.process.Ended() == nil {
		return fmt.Errorf("%s runs already", p.program)
	}
	var err error
	p.process, err = Start(p.dir, p.program, p.args...)
	return err
}

// Kill ends it at once, as a machine that loses power does.
func (p *Program) Kill() { p.end(os.Kill) }

// Stop asks it to end, and waits.
func (p *Program) Stop() { p.end(syscall.SIGTERM) }

func (p *Program) end(signal os.Signal) {
	if p.process != nil {
		_ = p.process.End(signal)
	}
}

// Ended is as that of Process.
func (p *Program) Ended() error {
	if p.process == nil {
		return fmt.Errorf("%s was not started", p.program)
	}
	return p.process.Ended()
}

// PID is that of the process.
func (p *Program) PID() int { return p.process.PID() }

// Log is the end of what it wrote in all its lives.
func (p *Program) Log() string {
	if p.process == nil {
		return ""
	}
	return p.process.Log()
}

func (p *Program) logFile() string { return p.process.logFile() }
