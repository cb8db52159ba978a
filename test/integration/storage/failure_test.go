// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"garret.dev/garret/generated/informers/externalversions"
	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/database"

	"golang.org/x/sys/unix"
)

// outage is a way in which a database fails for a while.
type outage struct {
	name string
	// prepare starts a database and returns the flags for it, and how it fails and comes back.
	prepare func(t *testing.T) (flags []string, fail, mend func())
	// told are words of one line of the log.
	told []string
}

var outages = []outage{
	{"slow", func(t *testing.T) ([]string, func(), func()) {
		proxy, flags := database.StartPostgres(t).Through(t)
		return flags, func() { proxy.Delay(3 * time.Second) }, func() { proxy.Delay(0) }
	}, []string{"no answer within 2s", "look at the database server"}},
	{"gone", func(t *testing.T) ([]string, func(), func()) {
		proxy, flags := database.StartPostgres(t).Through(t)
		return flags, proxy.Cut, proxy.Mend
	}, []string{"cannot be used", "look at the database server"}},
	{"mariadb gone", func(t *testing.T) ([]string, func(), func()) {
		proxy, flags := database.StartMariaDB(t).Through(t)
		return flags, proxy.Cut, proxy.Mend
	}, []string{"cannot be used", "look at the database server"}},
	{"hanging", func(t *testing.T) ([]string, func(), func()) {
		server := database.StartPostgres(t)
		return server.Flags, func() { must(t, server.Pause()) }, func() { must(t, server.Resume()) }
	}, []string{"no answer within 2s", "look at the database server"}},
	{"read-only, as after a failover", func(t *testing.T) ([]string, func(), func()) {
		server := database.StartPostgres(t)
		set := func(value string) {
			server.Statement(t, "ALTER DATABASE garret SET default_transaction_read_only = "+value)
			server.Statement(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'garret'")
		}
		return server.Flags, func() { set("on") }, func() { set("off") }
	}, []string{"takes no writes", "look at the database server"}},
	{"full", func(t *testing.T) ([]string, func(), func()) {
		volume := mountVolume(t, 8<<20)
		ballast := filepath.Join(volume, "ballast")
		return []string{"--data-dir=" + volume}, func() { fill(t, ballast) }, func() { must(t, os.Remove(ballast)) }
	}, []string{"takes no writes", "full", "free space"}},
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mountVolume mounts a file system of this size, which takes root.
func mountVolume(t *testing.T, size int) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "vol")
	must(t, err)
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)))
	t.Cleanup(func() {
		_ = unix.Unmount(dir, unix.MNT_DETACH)
		_ = os.Remove(dir)
	})
	return dir
}

// fill writes until nothing more fits.
func fill(t *testing.T, name string) {
	t.Helper()
	file, err := os.Create(name)
	must(t, err)
	defer file.Close()
	for err == nil {
		_, err = file.Write(make([]byte, 4096))
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("filling the volume: %v", err)
	}
}

// TestOutage has a database fail under a replica that is written to and watched,
// while it compacts every second, and come back.
func TestOutage(t *testing.T) {
	t.Parallel()
	for _, outage := range outages {
		t.Run(outage.name, func(t *testing.T) {
			t.Parallel()
			flags, fail, mend := outage.prepare(t)
			r := startReplica(t, append(flags, "--etcd-compaction-interval=1s", "--request-timeout=5s")...)
			namespace := shared.host.NewNamespace(t, "store-")
			w := r.writeSteadily(t, namespace)
			framework.Eventually(t, "some are written", func(context.Context) (bool, error) { return w.count() > 5, nil })

			fail()
			w.fails(t)
			r.becomesUnready(t, "the database being "+outage.name)
			r.logs(t, outage.told...)
			if err := r.healthy(t.Context(), "/livez"); err != nil {
				t.Errorf("/livez: %v, want it alive: a restart would not help", err)
			}
			if err := r.healthy(t.Context(), "/readyz/datastore"); err == nil {
				t.Error("/readyz/datastore: want the reason")
			} else {
				t.Log(err)
			}

			mend()
			r.becomesReady(t)
			before := w.count()
			framework.Eventually(t, "it is written to again", func(context.Context) (bool, error) { return w.count() > before+5, nil })
			acknowledged, refused := w.end()
			r.has(t, namespace, acknowledged)
			t.Logf("%d writes acknowledged, %d refused; the first refusal: %v", len(acknowledged), len(refused), refused[0])
			for _, err := range refused {
				var status apierrors.APIStatus
				if errors.As(err, &status) && status.Status().Code < http.StatusInternalServerError {
					t.Errorf("a write was answered with %v, want a code of 500 or above", err)
				}
			}
		})
	}
}

// has looks for every object, in a list and in what a client sees that watched all the time.
func (r *replica) has(t *testing.T, namespace string, names []string) {
	t.Helper()
	found := r.list(t, namespace)
	for _, name := range names {
		if _, there := found[name]; !there {
			t.Errorf("%s was acknowledged and is lost", name)
		}
	}
	r.stop(t)
	r.start(t)
	if again := r.list(t, namespace); len(again) != len(found) {
		t.Errorf("after a restart: got %d objects, want %d", len(again), len(found))
	}
}

// TestWatchersOutliveAnOutage compares what an informer has with what there is.
func TestWatchersOutliveAnOutage(t *testing.T) {
	t.Parallel()
	proxy, flags := database.StartPostgres(t).Through(t)
	r := startReplica(t, flags...)
	namespace := shared.host.NewNamespace(t, "store-")
	factory := externalversions.NewSharedInformerFactoryWithOptions(r.client, 0, externalversions.WithNamespace(namespace))
	informer := factory.Tenancy().V1().VirtualClusters().Informer()
	factory.Start(t.Context().Done())
	if !cache.WaitForCacheSync(t.Context().Done(), informer.HasSynced) {
		t.Fatal("the informer does not start")
	}
	for i := range 5 {
		r.create(t, namespace, fmt.Sprintf("before-%d", i))
	}
	proxy.Cut()
	r.becomesUnready(t, "the database being gone")
	proxy.Mend()
	r.becomesReady(t)
	for i := range 5 {
		r.create(t, namespace, fmt.Sprintf("after-%d", i))
	}
	must(t, r.clusters(namespace).Delete(t.Context(), "before-0", metav1.DeleteOptions{}))
	framework.Eventually(t, "the informer has what there is", func(context.Context) (bool, error) {
		_, stale, _ := informer.GetStore().GetByKey(namespace + "/before-0")
		return len(informer.GetStore().ListKeys()) == 9 && !stale, nil
	})
}

// TestDamagedDatabase starts on one whose pages were overwritten, and restores a backup.
func TestDamagedDatabase(t *testing.T) {
	t.Parallel()
	r := startReplica(t)
	namespace := shared.host.NewNamespace(t, "store-")
	made := r.create(t, namespace, "demo")
	saved := r.backup(t)
	r.stop(t)
	name := filepath.Join(r.data(), "state.db")
	// What a process leaves in the log beside the file would mend the damage.
	db, err := sql.Open("sqlite", name)
	must(t, err)
	_, err = db.ExecContext(t.Context(), "PRAGMA wal_checkpoint(TRUNCATE)")
	must(t, errors.Join(err, db.Close()))
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	must(t, err)
	_, err = file.WriteAt(make([]byte, 5*4096), 4096)
	must(t, errors.Join(err, file.Close()))

	r.launch(t)
	framework.Eventually(t, "the process ends", func(context.Context) (bool, error) { return r.process.Ended() != nil, nil })
	r.logs(t, "the database is damaged", "garret restore FILE --force")
	if _, err := r.run(t, saved, "restore"); err == nil {
		t.Error("restore without --force replaced a database")
	}
	if output, err := r.run(t, saved, "restore", "--force"); err != nil {
		t.Fatalf("restore: %v\n%s", err, output)
	}
	r.start(t)
	if got := r.list(t, namespace)["demo"]; got.UID != made.UID || got.ResourceVersion != made.ResourceVersion {
		t.Errorf("restored: got %+v, want UID %s and version %s", got.ObjectMeta, made.UID, made.ResourceVersion)
	}
}
