// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"garret.dev/garret/test/framework"
)

// VolumeFolder is where the files of a bound claim of the host lie on this machine.
func (s *Suite) VolumeFolder(t testing.TB, namespace, claim string) string {
	t.Helper()
	volume := s.Admin().Do(t, "get", "pvc", claim, "-n", namespace, "-o", "jsonpath={.spec.volumeName}")
	folder := s.Admin().Do(t, "get", "pv", volume, "-o", "jsonpath={.spec.local.path}")
	if _, err := os.Stat(folder); err != nil {
		t.Skipf("the files of volume %s do not lie on this machine: %v", volume, err)
	}
	return folder
}

// CopyFiles copies the files of a container's volume as they are at one moment, and
// returns the folder of the copy. The container stands still meanwhile.
func CopyFiles(t testing.TB, containerID, folder string) string {
	t.Helper()
	to := t.TempDir()
	err := stop(t.Context(), containerID)
	if err == nil {
		err = copyAll(folder, to)
	}
	if _, goOn := send(containerID, syscall.SIGCONT); err != nil || goOn != nil {
		t.Fatal(errors.Join(err, goOn))
	}
	return to
}

// PutFilesBack has the volume of a pod hold the files of a copy, and kills the pod's
// containers, the first of which is the one that writes to the volume, before that
// one can see the files change: as when a machine is put back to a snapshot.
func PutFilesBack(t testing.TB, folder, from string, containerIDs ...string) {
	t.Helper()
	err := stop(t.Context(), containerIDs[0])
	if err == nil {
		err = errors.Join(empty(folder), copyAll(from, folder))
	}
	for _, id := range containerIDs {
		_, killed := Kill(id)
		err = errors.Join(err, killed)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// stop has every thread of a container stand still.
func stop(ctx context.Context, containerID string) error {
	switch n, err := send(containerID, syscall.SIGSTOP); {
	case err != nil:
		return err
	case n == 0:
		return fmt.Errorf("container %s has no processes", containerID)
	}
	return framework.Poll(ctx, func(context.Context) (bool, error) {
		pids, err := Processes(containerID)
		if err != nil {
			return false, err
		}
		for _, pid := range pids {
			threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
			if err != nil {
				return false, err
			}
			for _, thread := range threads {
				// The state follows the name, which is in parentheses and may hold any.
				content, err := os.ReadFile(thread)
				if at := strings.LastIndexByte(string(content), ')'); err == nil && !strings.HasPrefix(string(content[at+1:]), " T") {
					return false, nil
				}
			}
		}
		return true, nil
	})
}

func empty(folder string) error {
	entries, err := os.ReadDir(folder)
	for _, entry := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(folder, entry.Name())))
	}
	return err
}

// copyAll copies what is in a folder, with owners and modes.
func copyAll(from, to string) error {
	out, err := exec.Command("cp", "-a", from+"/.", to).CombinedOutput()
	if err != nil {
		return fmt.Errorf("copying %s to %s: %w: %s", from, to, err, out)
	}
	return nil
}

// SmallVolume makes a volume of so many bytes on the host, which goes with the test,
// and returns its StorageClass, which has no other, and the folder of its files.
func (s *Suite) SmallVolume(t testing.TB, name string, size int) (class, folder string) {
	t.Helper()
	// Beside the kubeconfig: taking the host down unmounts what a killed test left there.
	folder, err := os.MkdirTemp(filepath.Dir(s.Kubeconfig), "small-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(folder) })
	if err := syscall.Mount("garret-"+name, folder, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0777", size)); err != nil {
		t.Skipf("mounting a volume takes an administrator of this machine: %v", err)
	}
	// Lazily: the kubelet may not have let go of it yet.
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	admin := s.Admin()
	t.Cleanup(func() {
		if out, err := admin.Try("delete", "--ignore-not-found", "--timeout=60s", "pv/"+name, "storageclass/"+name); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	node := admin.Do(t, "get", "nodes", "-o", `jsonpath={.items[0].metadata.labels.kubernetes\.io/hostname}`)
	admin.Apply(t, fmt.Sprintf(`apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: %[1]s}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: %[1]s}
spec:
  storageClassName: %[1]s
  accessModes: [ReadWriteOnce]
  capacity: {storage: %[2]d}
  persistentVolumeReclaimPolicy: Retain
  local: {path: %[3]s}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [%[4]s]}]}]}}
`, name, size, folder, node))
	return name, folder
}

// Fill takes all the room that is left on a volume, and returns the function that frees it.
func Fill(t testing.TB, folder string) (free func()) {
	t.Helper()
	ballast := filepath.Join(folder, "ballast")
	file, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for err == nil {
		_, err = file.Write(make([]byte, 1<<12))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	}
}
