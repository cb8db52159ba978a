// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package database

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"garret.dev/garret/test/framework"
)

// Password is that of the user garret of every SQL server.
const Password = "swordfish"

// Server is a running database server.
type Server struct {
	// Flags are those that garret-apiserver reaches it with.
	Flags []string
	// Endpoint is the address of the database garret, for SQL servers; it holds the password.
	Endpoint string
	// Address is where the server listens, as host:port.
	Address string
	// CAFile verifies the server; CertFile and KeyFile are a client's.
	CAFile, CertFile, KeyFile string

	command *exec.Cmd
	done    chan struct{}
}

// home is the directory of a server, owned by the user that it runs as.
type home struct {
	dir        string
	credential *syscall.Credential
	address    net.IP
	port       int
	authority  *authority
	// serverCert and serverKey are the server's own, clientCert and clientKey a client's.
	serverCert, serverKey, clientCert, clientKey string
}

// newHome makes a directory, certificates in it, and finds a port. A server
// that runs as root, such as etcd, gives no user.
func newHome(t testing.TB, runAs string, address net.IP) *home {
	t.Helper()
	// Directly below /tmp: t.TempDir lies below one that others cannot enter,
	// and a path to a socket may have 107 bytes.
	dir, err := os.MkdirTemp("/tmp", "db")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	h := &home{dir: dir, address: address}
	if h.port, err = framework.FreePort(); err != nil {
		t.Fatal(err)
	}
	if h.authority, err = newAuthority(dir); err != nil {
		t.Fatal(err)
	}
	if h.serverCert, h.serverKey, err = h.authority.issue(dir, "server", address); err != nil {
		t.Fatal(err)
	}
	if h.clientCert, h.clientKey, err = h.authority.issue(dir, "garret"); err != nil {
		t.Fatal(err)
	}
	if runAs != "" && os.Getuid() == 0 {
		if err := h.give(runAs); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// give makes the directory another user's.
func (h *home) give(name string) error {
	account, err := user.Lookup(name)
	if err != nil {
		return fmt.Errorf("%w: hack/packages.sh installs the database servers", err)
	}
	uid, err1 := strconv.Atoi(account.Uid)
	gid, err2 := strconv.Atoi(account.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	h.credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return filepath.WalkDir(h.dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, uid, gid))
	})
}

func (h *home) path(name string) string { return filepath.Join(h.dir, name) }

// command is one of the server's programs, which runs as the server's user and not longer than the tests.
func (h *home) command(program string, args ...string) *exec.Cmd {
	command := exec.Command(program, args...)
	command.Dir = h.dir
	// MariaDB takes what it finds of temporary tables for its own, and removes it.
	command.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH"), "HOME=" + h.dir, "TMPDIR=" + h.dir}
	command.SysProcAttr = &syscall.SysProcAttr{Credential: h.credential, Pdeathsig: syscall.SIGKILL}
	return command
}

// prepare runs a program of the server to its end.
func (h *home) prepare(t testing.TB, program string, args ...string) {
	t.Helper()
	if output, err := h.command(program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(program), err, output)
	}
}

// start runs the server until the test ends.
func (h *home) start(t testing.TB, end syscall.Signal, program string, args ...string) *Server {
	t.Helper()
	s := &Server{
		Address: net.JoinHostPort(h.address.String(), strconv.Itoa(h.port)),
		CAFile:  h.authority.file, CertFile: h.clientCert, KeyFile: h.clientKey,
		command: h.command(program, args...), done: make(chan struct{}),
	}
	log, err := os.Create(h.path("server.log"))
	if err != nil {
		t.Fatal(err)
	}
	s.command.Stdout, s.command.Stderr = log, log
	if err := s.command.Start(); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	go func() {
		defer close(s.done)
		defer log.Close()
		_ = s.command.Wait()
	}()
	t.Cleanup(func() {
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("the end of the log of %s:\n%s", filepath.Base(program), text[max(0, len(text)-3000):])
		}
		_ = s.Resume()
		_ = s.command.Process.Signal(end)
		<-s.done
	})
	return s
}

// Pause stops the server where it stands, as a machine does that hangs: its
// connections stay open, and nothing answers.
func (s *Server) Pause() error { return s.signalAll(syscall.SIGSTOP) }

// Resume lets it go on.
func (s *Server) Resume() error { return s.signalAll(syscall.SIGCONT) }

// signalAll reaches the server and the processes that it has for its connections,
// each of which leads a group of its own. The server comes first, lest it start others.
func (s *Server) signalAll(signal syscall.Signal) error {
	pid := s.command.Process.Pid
	if err := syscall.Kill(pid, signal); err != nil {
		return err
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return err
	}
	for _, child := range strings.Fields(string(children)) {
		number, err := strconv.Atoi(child)
		if err != nil {
			return err
		}
		if err := syscall.Kill(number, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}

// ended is an error if the server does not run any more.
func (s *Server) ended() error {
	select {
	case <-s.done:
		return fmt.Errorf("%s has ended: %v", s.command.Path, s.command.ProcessState)
	default:
		return nil
	}
}

// installed finds a program by the patterns of its path.
func installed(t testing.TB, patterns ...string) string {
	t.Helper()
	for _, pattern := range patterns {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[len(found)-1]
		}
	}
	t.Fatalf("no %v: hack/packages.sh installs the database servers", patterns)
	return ""
}
