// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestParse(t *testing.T) {
	for name, tt := range map[string]struct {
		mounts string
		want   Groups
		failed bool
	}{
		"separate hierarchies": {
			mounts: "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n",
			want:   Groups{Hierarchies: []string{"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/memory"}},
		},
		"hybrid": {
			mounts: "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n",
			want:   Groups{Hierarchies: []string{"/sys/fs/cgroup/cpu"}, Beside: "/sys/fs/cgroup/unified"},
		},
		"unified": {
			mounts: "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n",
			want:   Groups{Hierarchies: []string{"/sys/fs/cgroup"}, Unified: true},
		},
		"mounted elsewhere": {mounts: "cgroup2 /mnt/cgroup cgroup2 rw 0 0\n", failed: true},
		"none":              {mounts: "proc /proc proc rw 0 0\n", failed: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parse(tt.mounts)
			if (err != nil) != tt.failed || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v; want %+v, failed: %t", got, err, tt.want, tt.failed)
			}
		})
	}
}

// A cpuset without processors and memory takes no process.
func TestCreateFillsCpusets(t *testing.T) {
	root := t.TempDir()
	for file, content := range map[string]string{"cpuset.cpus": "0-1\n", "cpuset.mems": "0\n"} {
		if err := os.WriteFile(filepath.Join(root, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := (Groups{Hierarchies: []string{root}}).Create("/node1"); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"cpuset.cpus": "0-1\n", "cpuset.mems": "0\n"} {
		if got, err := os.ReadFile(filepath.Join(root, "node1", file)); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v; want %q", file, got, err, want)
		}
	}
}

func TestCreateDividesProcessors(t *testing.T) {
	for file, want := range map[string]string{"cpu.shares": "4096", "cpu.weight": "400"} {
		root := t.TempDir()
		path := filepath.Join(root, "node1", file)
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := (Groups{Hierarchies: []string{root}}).Create("/node1"); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v; want %q", file, got, err, want)
		}
	}
}

func TestDeleteRefusesTheRoot(t *testing.T) {
	for _, name := range []string{"", "/", "/../x", "."} {
		if err := (Groups{Hierarchies: []string{t.TempDir()}}).Delete(t.Context(), name); err == nil {
			t.Errorf("%q: got no error", name)
		}
	}
}

func TestDelete(t *testing.T) {
	root, beside := t.TempDir(), t.TempDir()
	for _, dir := range []string{filepath.Join(root, "node1", "pods", "a"), filepath.Join(root, "other"), filepath.Join(beside, "node1")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := (Groups{Hierarchies: []string{root}, Beside: beside}).Delete(t.Context(), "/node1"); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]bool{filepath.Join(root, "node1"): false, filepath.Join(beside, "node1"): false, filepath.Join(root, "other"): true} {
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("%s: got %v, want it there: %t", dir, err, want)
		}
	}
}
