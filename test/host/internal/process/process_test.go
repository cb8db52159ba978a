// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

func folder(t *testing.T) Folder {
	t.Helper()
	dir := t.TempDir()
	f := Folder{Records: filepath.Join(dir, "records"), Logs: filepath.Join(dir, "logs")}
	t.Cleanup(func() {
		names, err := f.Names()
		if err != nil {
			t.Error(err)
		}
		for _, name := range names {
			if err := f.Kill(context.Background(), name); err != nil {
				t.Error(err)
			}
		}
	})
	return f
}

func start(t *testing.T, f Folder, spec Spec) (pid int, started bool) {
	t.Helper()
	spec.Env = os.Environ()
	started, err := f.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	pid, _ = f.PID(spec.Name)
	return pid, started
}

func TestStartAgain(t *testing.T) {
	input := filepath.Join(t.TempDir(), "input")
	write := func(content string) {
		if err := os.WriteFile(input, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	spec := Spec{Name: "p", Args: []string{"sleep", "1000"}, Inputs: []string{input}}
	for name, tt := range map[string]struct {
		between func(t *testing.T, f Folder, pid int)
		again   Spec
		started bool
	}{
		"as it runs":           {func(*testing.T, Folder, int) {}, spec, false},
		"with other arguments": {func(*testing.T, Folder, int) {}, Spec{Name: "p", Args: []string{"sleep", "2000"}, Inputs: spec.Inputs}, true},
		"with another input":   {func(*testing.T, Folder, int) { write("changed") }, spec, true},
		"after it was killed":  {func(t *testing.T, f Folder, pid int) { kill(t, f, pid) }, spec, true},
		"after it was stopped": {func(t *testing.T, f Folder, _ int) { stop(t, f) }, spec, true},
		"with a record of a past boot": {func(t *testing.T, f Folder, _ int) {
			forge(t, f, func(r *record) { r.Boot = "past" })
		}, spec, true},
	} {
		t.Run(name, func(t *testing.T) {
			write("content")
			f := folder(t)
			first, started := start(t, f, spec)
			if !started || first == 0 {
				t.Fatalf("first: got started=%t with pid %d", started, first)
			}
			t.Cleanup(func() { _ = syscall.Kill(first, syscall.SIGKILL) })
			tt.between(t, f, first)
			second, started := start(t, f, tt.again)
			if started != tt.started || (second != first) != tt.started {
				t.Errorf("again: got started=%t with pid %d after %d, want started=%t", started, second, first, tt.started)
			}
		})
	}
}

func stop(t *testing.T, f Folder) {
	t.Helper()
	if err := f.Stop(t.Context(), "p", 5*time.Second); err != nil {
		t.Fatal(err)
	}
}

func kill(t *testing.T, f Folder, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := f.waitGone(t.Context(), "p"); err != nil {
		t.Fatal(err)
	}
}

// forge changes the record of the process p.
func forge(t *testing.T, f Folder, change func(*record)) {
	t.Helper()
	rec, alive := f.find("p")
	if !alive {
		t.Fatal("p does not run")
	}
	change(&rec)
	data, err := json.Marshal(rec)
	if err == nil {
		err = os.WriteFile(f.recordFile("p"), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A pid that has passed to another process must not be killed.
func TestStopSparesStrangers(t *testing.T) {
	f := folder(t)
	pid, _ := start(t, f, Spec{Name: "p", Args: []string{"sleep", "1000"}})
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	forge(t, f, func(r *record) { r.Started-- })
	if _, alive := f.PID("p"); alive {
		t.Error("a process of another start time passes for ours")
	}
	stop(t, f)
	if err := syscall.Kill(pid, 0); err != nil {
		t.Errorf("the stranger: %v, want it alive", err)
	}
	if names, _ := f.Names(); len(names) != 0 {
		t.Errorf("records: got %q, want none", names)
	}
}

func TestStopKillsWhatIgnoresIt(t *testing.T) {
	f := folder(t)
	pid, _ := start(t, f, Spec{Name: "p", Args: []string{"sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1000; done"}})
	err := wait.PollUntilContextTimeout(t.Context(), poll, 10*time.Second, true, func(context.Context) (bool, error) {
		return f.LastError("p") == "ready", nil
	})
	if err != nil {
		t.Fatalf("the shell does not start: %v", err)
	}
	if err := f.Stop(t.Context(), "p", 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err == nil {
		if _, err := startTime(pid); err == nil {
			t.Error("it still runs")
		}
	}
}

func TestStartNamesWhatIsMissing(t *testing.T) {
	_, err := folder(t).Start(t.Context(), Spec{Name: "p", Args: []string{"/no/such/program"}})
	if err == nil || !strings.Contains(err.Error(), "start p:") || !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("got %v, want the component and the file named", err)
	}
}

func TestLastError(t *testing.T) {
	for name, tt := range map[string]struct {
		log, want string
		from      int64
	}{
		"fatal before later lines":   {log: "I1101 fine\nF1101 12:00 main.go:1] no certificate\ngoroutine 1\n", want: "F1101 12:00 main.go:1] no certificate"},
		"the last error":             {log: "E1101 first\nE1101 second\nI1101 fine\n", want: "E1101 second"},
		"command failed over errors": {log: "E1101 1 run.go:72] \"command failed\" err=\"x\"\nE1101 other\n", want: "E1101 1 run.go:72] \"command failed\" err=\"x\""},
		"etcd":                       {log: "{\"level\":\"fatal\",\"msg\":\"in use\"}\n{\"level\":\"info\"}\n", want: "{\"level\":\"fatal\",\"msg\":\"in use\"}"},
		"containerd":                 {log: "time=x level=info msg=a\ntime=x level=error msg=b\ntime=x level=info msg=c\n", want: "time=x level=error msg=b"},
		"panic":                      {log: "panic: nil map\n\ngoroutine 1 [running]:\n", want: "panic: nil map"},
		"nothing telling":            {log: "usage: p\n  -x\n", want: "-x"},
		"an earlier run":             {log: "F1101 old\nI1101 new\n", from: 10, want: "I1101 new"},
		"empty":                      {want: "its log is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "log")
			if err := os.WriteFile(file, []byte(tt.log), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := lastError(file, tt.from); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
