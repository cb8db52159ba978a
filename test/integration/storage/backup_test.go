// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/generated/clientset/versioned"
	"garret.dev/garret/generated/informers/externalversions"
	"garret.dev/garret/test/framework"
)

// run runs a command of the program on the replica's data directory.
func (r *replica) run(t *testing.T, input []byte, command string, flags ...string) ([]byte, error) {
	t.Helper()
	program, err := framework.Binary("garret-apiserver")
	must(t, err)
	process := exec.CommandContext(t.Context(), program, append([]string{command, "--data-dir=" + r.data()}, flags...)...)
	process.Stdin = bytes.NewReader(input)
	var output, told bytes.Buffer
	process.Stdout, process.Stderr = &output, &told
	if err := process.Run(); err != nil {
		return told.Bytes(), fmt.Errorf("%s: %w: %s", command, err, told.Bytes())
	}
	return output.Bytes(), nil
}

func (r *replica) backup(t *testing.T) []byte {
	t.Helper()
	saved, err := r.run(t, nil, "backup")
	must(t, err)
	return saved
}

// TestBackupWhileWritten takes backups under load; each must be whole, and hold all that was acknowledged before.
func TestBackupWhileWritten(t *testing.T) {
	t.Parallel()
	r := startReplica(t)
	namespace := shared.host.NewNamespace(t, "store-")
	w := r.writeSteadily(t, namespace)
	for range 3 {
		before := w.count()
		framework.Eventually(t, "more are written", func(context.Context) (bool, error) { return w.count() > before+5, nil })
		w.mu.Lock()
		acknowledged := append([]string(nil), w.acknowledged...)
		w.mu.Unlock()
		saved := r.backup(t)
		other := newReplica(t)
		if output, err := other.run(t, saved, "restore"); err != nil {
			t.Fatalf("restore: %v\n%s", err, output)
		}
		other.start(t)
		found := other.list(t, namespace)
		for _, name := range acknowledged {
			if _, there := found[name]; !there {
				t.Errorf("%s was acknowledged before the backup, which does not have it", name)
			}
		}
		other.stop(t)
	}
	if _, refused := w.end(); len(refused) > 0 {
		t.Errorf("a write failed while a backup was taken: %v", refused[0])
	}
}

// TestRestoreRefuses leaves everything as it was when it cannot do its work.
func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	r := startReplica(t)
	made := r.create(t, shared.host.NewNamespace(t, "store-"), "demo")
	saved := r.backup(t)
	refuses := func(why string, input []byte, want string, flags ...string) {
		t.Helper()
		if output, err := r.run(t, input, "restore", flags...); err == nil || !strings.Contains(string(output), want) {
			t.Errorf("%s: got %v, want an error with %q", why, err, want)
		}
	}
	refuses("under a running server", saved, "stop it first", "--force")
	r.stop(t)
	refuses("over a database", saved, "--force replaces it")
	refuses("half a backup", saved[:len(saved)/2], "did not arrive whole", "--force", "--sha256="+strings.Repeat("0", 64))
	refuses("half a backup, unsummed", saved[:len(saved)/2], "damaged", "--force")
	refuses("no database", []byte("what is this"), "damaged", "--force")
	refuses("nothing", nil, "empty", "--force")
	left, err := filepath.Glob(filepath.Join(r.data(), "*"))
	must(t, err)
	for _, file := range left {
		if strings.Contains(file, "restore") {
			t.Errorf("%s was left behind", file)
		}
	}
	r.start(t)
	if got := r.list(t, made.Namespace)["demo"]; got.UID != made.UID {
		t.Errorf("after all the refusals: got %+v, want what was there", got.ObjectMeta)
	}
}

// patient waits for a server that is down, as those do for whom somebody else looks
// for one: an informer that is refused again and again is in no hurry any more.
func patient(ctx context.Context, network, address string) (net.Conn, error) {
	var connection net.Conn
	err := framework.Poll(ctx, func(ctx context.Context) (bool, error) {
		var refused error
		connection, refused = (&net.Dialer{}).DialContext(ctx, network, address)
		return refused == nil, nil
	})
	return connection, err
}

// TestRestoreGoesBack restores twice a backup that is older than what clients
// have seen: they must see the old state, and every change after it.
func TestRestoreGoesBack(t *testing.T) {
	t.Parallel()
	r := startReplica(t)
	namespace := shared.host.NewNamespace(t, "store-")
	kept := r.create(t, namespace, "kept")
	saved := r.backup(t)
	config := rest.CopyConfig(r.address)
	config.Dial = patient
	client, err := versioned.NewForConfig(config)
	must(t, err)
	factory := externalversions.NewSharedInformerFactoryWithOptions(client, 0, externalversions.WithNamespace(namespace))
	informer := factory.Tenancy().V1().VirtualClusters().Informer()
	factory.Start(t.Context().Done())
	if !cache.WaitForCacheSync(t.Context().Done(), informer.HasSynced) {
		t.Fatal("the informer does not start")
	}
	last := kept.ResourceVersion
	for round := range 2 {
		for i := range 5 {
			last = r.create(t, namespace, fmt.Sprintf("later-%d-%d", round, i)).ResourceVersion
		}
		seen := func(names ...string) {
			t.Helper()
			framework.Eventually(t, fmt.Sprintf("the informer has %v", names), func(context.Context) (bool, error) {
				for _, name := range names {
					if _, there, _ := informer.GetStore().GetByKey(namespace + "/" + name); !there {
						return false, nil
					}
				}
				return len(informer.GetStore().ListKeys()) == len(names), nil
			})
		}
		seen("kept", fmt.Sprintf("later-%d-0", round), fmt.Sprintf("later-%d-1", round), fmt.Sprintf("later-%d-2", round),
			fmt.Sprintf("later-%d-3", round), fmt.Sprintf("later-%d-4", round))
		r.stop(t)
		if round == 1 { // the volume is lost altogether
			must(t, os.RemoveAll(r.data()))
		}
		if output, err := r.run(t, saved, "restore", "--force"); err != nil {
			t.Fatalf("restore: %v\n%s", err, output)
		}
		r.start(t)
		seen("kept")
		got, err := r.clusters(namespace).Get(t.Context(), "kept", metav1.GetOptions{})
		if err != nil || got.UID != kept.UID || got.ResourceVersion != kept.ResourceVersion {
			t.Errorf("round %d: got %v, %v; want the object as it was", round, got, err)
		}
		next := r.create(t, namespace, "next")
		if compareVersions(t, next.ResourceVersion, last) <= 0 {
			t.Errorf("round %d: a new version, %s, is not above %s", round, next.ResourceVersion, last)
		}
		seen("kept", "next")
		must(t, r.clusters(namespace).Delete(t.Context(), "next", metav1.DeleteOptions{}))
		seen("kept")
		kept = got
	}
	updated := kept.DeepCopy()
	metav1.SetMetaDataLabel(&updated.ObjectMeta, "changed", "yes")
	if _, err := r.clusters(namespace).Update(t.Context(), updated, metav1.UpdateOptions{}); err != nil {
		t.Errorf("update of a restored object with its version: %v", err)
	}
	framework.Eventually(t, "the informer sees the update", func(context.Context) (bool, error) {
		object, there, _ := informer.GetStore().GetByKey(namespace + "/kept")
		return there && object.(*v1.VirtualCluster).Labels["changed"] == "yes", nil
	})
}
