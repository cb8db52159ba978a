// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package guarded

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/k3s-io/kine/pkg/logstructured"
	"github.com/k3s-io/kine/pkg/server"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// served is a client of a new database of SQLite, by etcd's API.
func served(t *testing.T) *clientv3.Client {
	t.Helper()
	backend := Guard(sqliteBackend(t, "&_pragma=busy_timeout(30000)&_pragma=synchronous(off)"), func(err error) { t.Errorf("refused: %v", err) })
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	grpcServer := NewServer(backend, nil)
	go func() { _ = grpcServer.Serve(listener) }()
	t.Cleanup(grpcServer.Stop)
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"unix://" + socket}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// TestProgressAfterWritesTogether has two clients write at the same moment, and nobody
// afterwards. A watch of something else must learn of both by its progress: a cache waits for
// that when it is asked for a consistent list.
func TestProgressAfterWritesTogether(t *testing.T) {
	client := served(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	progress := client.Watch(ctx, "/registry/quiet/", clientv3.WithPrefix(), clientv3.WithProgressNotify())
	for round := range 100 {
		var writers sync.WaitGroup
		for writer := range 2 {
			writers.Go(func() {
				key := fmt.Sprintf("/registry/busy/%d-%d", round, writer)
				if _, err := client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", 0)).Then(clientv3.OpPut(key, "x")).Commit(); err != nil {
					t.Error(err)
				}
			})
		}
		writers.Wait()
		current, err := client.Get(ctx, "/registry/quiet/", clientv3.WithPrefix(), clientv3.WithLimit(1))
		if err != nil {
			t.Fatal(err)
		}
		reaches(t, client, progress, current.Header.Revision)
	}
}

// reaches asks for progress as a cache does, until a watch is as far as a revision.
func reaches(t *testing.T, client *clientv3.Client, watch clientv3.WatchChan, revision int64) {
	t.Helper()
	ask := time.NewTicker(20 * time.Millisecond)
	defer ask.Stop()
	var last int64
	for end := time.After(5 * time.Second); last < revision; {
		select {
		case response, open := <-watch:
			if !open || response.Err() != nil {
				t.Fatalf("the watch ended: %v", response.Err())
			}
			last = max(last, response.Header.Revision)
		case <-ask.C:
			if err := client.RequestProgress(t.Context()); err != nil {
				t.Fatal(err)
			}
		case <-end:
			t.Fatalf("progress ended at %d, want %d, which a list has answered", last, revision)
		}
	}
}

// TestFirstWriteIsTold watches a database that kine does not poll: each event must come by
// itself, also that of the first write, at which kine only prepares to read its log.
func TestFirstWriteIsTold(t *testing.T) {
	run, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	t.Cleanup(func() { cancel(); wait.Wait() })
	config := Config()
	config.PollInterval = time.Hour
	config.DataSourceName = filepath.Join(t.TempDir(), "state.db") + "?_journal_mode=WAL&_txlock=immediate"
	backend, err := Open(run, &wait, config)
	if err != nil {
		t.Fatal(err)
	}
	backend = Guard(backend, func(err error) { t.Errorf("refused: %v", err) })
	watch := backend.Watch(t.Context(), 0)
	for n := range 3 {
		revision, err := backend.Create(t.Context(), fmt.Sprint("/registry/", n), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		end := time.After(20 * time.Second)
		for seen := int64(0); seen < revision; {
			select {
			case batch := <-watch.Eventc:
				seen = batch.CurrentRev
			case <-end:
				t.Fatalf("the watch has not got write %d", n)
			}
		}
	}
}

// failing is a log that cannot be read.
type failing struct {
	logstructured.Log
	asked int
}

func (f *failing) CurrentRevision(context.Context) (int64, error) {
	if f.asked++; f.asked > 1 {
		return 0, errors.New("database is locked")
	}
	return 7, nil
}

func (f *failing) Watch(context.Context) <-chan server.EventBatch { return nil }

// TestCurrentRevisionIsAskedOnce has the database fail later: after one failure, kine answers no
// request for progress on that stream.
func TestCurrentRevisionIsAskedOnce(t *testing.T) {
	log := counting{Log: &failing{}, newest: newNewest()}
	for range 2 {
		if revision, err := log.CurrentRevision(t.Context()); err != nil || revision != 7 {
			t.Errorf("got %d, %v; want 7", revision, err)
		}
	}
	log.newest.raise(9)
	log.newest.raise(8)
	if revision, _ := log.CurrentRevision(t.Context()); revision != 9 {
		t.Errorf("got %d, want 9, which was written", revision)
	}
}

// TestProgressIsNotBehindEvents watches what another request has written, whose end is still to
// come: progress may not fall behind it.
func TestProgressIsNotBehindEvents(t *testing.T) {
	events := make(chan server.EventBatch, 2)
	events <- server.EventBatch{CurrentRev: 4}
	events <- server.EventBatch{CurrentRev: 6}
	known := newNewest()
	watch := Guard(&single{Backend: emitting{events: events}, newest: known}, func(error) {}).Watch(t.Context(), 0)
	for range 2 {
		if batch := <-watch.Eventc; known.known() < batch.CurrentRev {
			t.Errorf("got %d, want the revision %d, which a watch has got", known.known(), batch.CurrentRev)
		}
	}
}

// emitting is a backend whose watches have these events.
type emitting struct {
	server.Backend
	events chan server.EventBatch
}

func (e emitting) Watch(context.Context, int64) server.WatchResult {
	return server.WatchResult{Eventc: e.events}
}

// TestWatchThatCannotBegin must end, so that its client tries again.
func TestWatchThatCannotBegin(t *testing.T) {
	backend := Guard(logstructured.New(counting{Log: &failing{}, newest: newNewest()}), func(error) {})
	end := time.After(10 * time.Second)
	for watch := backend.Watch(t.Context(), 0); ; {
		select {
		case _, open := <-watch.Eventc:
			if !open {
				return
			}
		case <-end:
			t.Fatal("the watch of a log that cannot be read goes on")
		}
	}
}
