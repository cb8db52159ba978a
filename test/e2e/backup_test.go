// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"garret.dev/garret/test/framework"
)

// backupAndRestore goes back to a backup under a virtual cluster that runs:
// the object is as it was, and the pod behind it takes no notice.
func backupAndRestore(t *testing.T, ns string) {
	admin := shared.Admin()
	object := func() string {
		return admin.Do(t, "get", "vc/demo", "-n", ns, "-o", "jsonpath={.metadata.uid} {.metadata.generation} {.metadata.creationTimestamp} {.metadata.labels} {.spec}")
	}
	pod := func() string {
		return admin.Do(t, "get", "pod/vc-demo-0", "-n", ns, "-o", "jsonpath={.metadata.uid} {.status.containerStatuses[*].restartCount}")
	}
	wasObject, wasPod := object(), pod()
	file := filepath.Join(t.TempDir(), "garret.db")
	admin.Garret(t, "backup", "--output", file)
	if _, err := admin.Tool("garret", "backup", "--output", file); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("a second backup to the same file: got %v, want it refused", err)
	}
	if _, err := admin.Tool("garret", "restore", file); err == nil || !strings.Contains(err.Error(), "--force") {
		t.Errorf("restore under a running Garret: got %v, want it refused", err)
	}

	admin.Do(t, "label", "vc/demo", "-n", ns, "after=backup")
	admin.Garret(t, "restore", file, "--force")
	framework.SucceedsWithin(t, time.Minute, "the API answers again", func(context.Context) error {
		_, err := admin.Try("get", "vc/demo", "-n", ns)
		return err
	})
	if got := object(); got != wasObject {
		t.Errorf("restored: got UID, generation, time, labels and spec %q, want %q", got, wasObject)
	}
	if got := pod(); got != wasPod {
		t.Errorf("the pod has UID and restarts %s, want %s as before", got, wasPod)
	}
	if out, err := admin.Try("get", "pod/garret-restore", "-n", "garret-system"); err == nil {
		t.Errorf("the pod that restored is still there: %s", out)
	}
	admin.Do(t, "label", "vc/demo", "-n", ns, "again=yes")
	admin.Do(t, "wait", "--for=condition=Ready", "vc/demo", "-n", ns, "--timeout=120s")
}
