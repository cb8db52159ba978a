// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOptionsComplete(t *testing.T) {
	long := "/" + strings.Repeat("d", maxDir)
	for name, tt := range map[string]struct {
		given  Options
		failed string
	}{
		"defaults":            {given: Options{Dir: "/state"}},
		"no folder":           {given: Options{}, failed: "state folder"},
		"a folder too deep":   {given: Options{Dir: long}, failed: "1 to 64 characters"},
		"a capital in a name": {given: Options{Dir: "/state", Name: "Test"}, failed: "must match"},
		"a path for a name":   {given: Options{Dir: "/state", Name: "../x"}, failed: "must match"},
		"a name too long":     {given: Options{Dir: "/state", Name: strings.Repeat("n", 21)}, failed: "must match"},
		"less than one node":  {given: Options{Dir: "/state", Nodes: -1}, failed: "1 to 20"},
		"more nodes than fit": {given: Options{Dir: "/state", Nodes: 21}, failed: "1 to 20"},
	} {
		t.Run(name, func(t *testing.T) {
			o := tt.given
			err := o.complete()
			if tt.failed != "" {
				if err == nil || !strings.Contains(err.Error(), tt.failed) {
					t.Errorf("got %v, want an error with %q", err, tt.failed)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if o.Name != "garret" || o.Nodes != 1 || o.Provider != Process || !filepath.IsAbs(o.BinDir) {
				t.Errorf("got %+v", o)
			}
		})
	}
}

func TestStateSurvives(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	want := state{Dir: dir, Name: "test", Provider: Process, Nodes: 2, BinDir: "/bin", Index: 7}
	if err := want.save(); err != nil {
		t.Fatal(err)
	}
	if got, err := loadState(dir); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestOpen(t *testing.T) {
	for name, tt := range map[string]struct {
		content string
		is      error
		failed  string
	}{
		"nothing":             {is: os.ErrNotExist},
		"something else":      {content: "{", failed: "host cluster in"},
		"an unknown provider": {content: `{"provider":"cloud"}`, failed: `no provider is called "cloud"`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if tt.content != "" {
				if err := os.WriteFile(stateFile(dir), []byte(tt.content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := Open(dir)
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("got %v, want %v", err, tt.is)
			}
			if tt.failed != "" && (err == nil || !strings.Contains(err.Error(), tt.failed)) {
				t.Errorf("got %v, want an error with %q", err, tt.failed)
			}
		})
	}
}

func TestUpRefusesAnotherCluster(t *testing.T) {
	dir := t.TempDir()
	if err := (state{Dir: dir, Name: "first", Provider: Process, Index: noIndex}).save(); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{Dir: dir, Name: "second"}, {Dir: dir, Name: "first", Provider: Kind}} {
		if _, err := Up(t.Context(), o); err == nil || !strings.Contains(err.Error(), `holds cluster "first"`) {
			t.Errorf("%+v: got %v, want it refused", o, err)
		}
	}
}

func TestForgetKeepsLogs(t *testing.T) {
	dir := t.TempDir()
	s := state{Dir: dir, Name: "test"}
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"etcd", "logs"} {
		if err := os.MkdirAll(filepath.Join(dir, sub, "x"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.forget(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "logs" {
		t.Errorf("got %v, %v; want the logs alone", left, err)
	}
}

func TestDownOfWhatNeverCameUp(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	if err := (state{Dir: dir, Name: "test", Provider: Process, Nodes: 1, Index: noIndex}).save(); err != nil {
		t.Fatal(err)
	}
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("got %v, want the folder gone", err)
	}
}

func TestLockKeepsOthersOut(t *testing.T) {
	dir := t.TempDir()
	unlock, err := lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(dir); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("second: got %v, want it refused", err)
	}
	unlock()
	unlock, err = lock(dir)
	if err != nil {
		t.Fatalf("after the first: %v", err)
	}
	unlock()
}

func TestFindCNI(t *testing.T) {
	dir := t.TempDir()
	half, whole := filepath.Join(dir, "half"), filepath.Join(dir, "whole")
	for folder, names := range map[string][]string{half: plugins[:1], whole: plugins} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if err := os.WriteFile(filepath.Join(folder, name), nil, 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got, err := findCNI([]string{filepath.Join(dir, "none"), half, whole}); err != nil || got != whole {
		t.Errorf("got %q, %v; want %q", got, err, whole)
	}
	if got, err := findCNI([]string{half}); err == nil || !strings.Contains(err.Error(), "containernetworking-plugins") {
		t.Errorf("got %q, %v; want the package named", got, err)
	}
}

func TestCheckMachineTellsAllThatIsMissing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	err := checkMachine(dir, true)
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{"runc (Debian package runc)", "ip (Debian package iproute2)", filepath.Join(dir, "kube"), "make build", filepath.Join(dir, "netpol"), "make netpol"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

func TestComponentNames(t *testing.T) {
	p := newProcesses(&state{Dir: "/state", Name: "test", Nodes: 2, Index: 0}, newProgress(nil))
	for given, want := range map[string]string{
		"etcd": "etcd", "kubelet": "kubelet-node1", "kubelet-node1": "kubelet-node1", "kube-proxy-node2": "kube-proxy-node2",
		"kubelet-node3": "", "etcd-node1": "", "docker": "",
	} {
		spec, err := p.spec(given)
		if spec.Name != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v; want %q", given, spec.Name, err, want)
		}
	}
}

func TestStartersFirst(t *testing.T) {
	got := strings.Join(startersFirst([]string{"containerd-node1", "etcd", "kube-proxy-node1", "kubelet-node1"}), " ")
	if want := "containerd-node1 kubelet-node1 etcd kube-proxy-node1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A component that ends while others wait for it is what the error is about.
func TestWaitNamesTheComponentThatEnded(t *testing.T) {
	dir := t.TempDir()
	p := newProcesses(&state{Dir: dir, Name: "test", Nodes: 1, Index: 0}, newProgress(nil))
	spec := p.host.EtcdSpec()
	spec.NetNS, spec.Args, spec.Env = "", []string{"sh", "-c", "echo 'panic: the disk is full'; exit 1"}, os.Environ()
	if err := p.start(t.Context(), spec); err != nil && !strings.Contains(err.Error(), "the disk is full") {
		t.Fatal(err)
	}
	p.started[spec.Name] = true
	err := p.wait(t.Context(), "API server", func(context.Context) error { return errors.New("no answer") })
	if err == nil || !strings.Contains(err.Error(), "etcd ended: panic: the disk is full") {
		t.Errorf("got %v, want etcd and its last words", err)
	}
}
