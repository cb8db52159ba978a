// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package guarded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/k3s-io/kine/pkg/server"
	"github.com/sirupsen/logrus"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// sqliteBackend opens a database of SQLite with these parameters.
func sqliteBackend(t *testing.T, parameters string) server.Backend {
	t.Helper()
	run, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	t.Cleanup(func() { cancel(); wait.Wait() })
	config := Config()
	config.DataSourceName = filepath.Join(t.TempDir(), "state.db") + "?_journal_mode=WAL&_txlock=immediate" + parameters
	backend, err := Open(run, &wait, config)
	if err != nil {
		t.Fatal(err)
	}
	return backend
}

// TestFullDatabase writes until nothing more fits: what was acknowledged must be there, and all else refused.
func TestFullDatabase(t *testing.T) {
	ctx := t.Context()
	var refused []error
	backend := Guard(sqliteBackend(t, "&_pragma=max_page_count(60)"), func(err error) { refused = append(refused, err) })
	value := bytes.Repeat([]byte("x"), 10_000)
	var revisions []int64
	var failure error
	for i := 0; failure == nil && i < 100; i++ {
		var revision int64
		if revision, failure = backend.Create(ctx, fmt.Sprintf("/registry/%02d", i), value, 0); failure == nil {
			revisions = append(revisions, revision)
		}
	}
	if failure == nil || !strings.Contains(failure.Error(), "full") || len(refused) != 1 {
		t.Fatalf("after %d creates: got %v, reported %v; want an error that says that it is full", len(revisions), failure, refused)
	}
	if _, kvs, err := backend.List(ctx, "/registry/0", "/registry/9", 0, 0, true); err != nil || len(kvs) != len(revisions) {
		t.Errorf("list: got %d, %v; want the %d that were acknowledged", len(kvs), err, len(revisions))
	}
	if _, _, updated, err := backend.Update(ctx, "/registry/00", value, revisions[0], 0); updated || err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("update: got %v, %v; want an error that says that it is full, not a conflict", updated, err)
	}
	if _, _, updated, err := backend.Update(ctx, "/registry/00", value, 1, 0); updated || err != nil {
		t.Errorf("update of an old version: got %v, %v; want a conflict all the same", updated, err)
	}
}

// cutting is a backend whose results break off, as those of a lost connection do.
type cutting struct {
	server.Backend
	events []*server.Event
}

func (c cutting) ListStream(context.Context, string, string, int64, int64, bool) server.ListResult {
	kvs, errs := make(chan *server.KeyValue, 1), make(chan error, 1)
	kvs <- &server.KeyValue{Key: "/registry/a", ModRevision: 4}
	errs <- errors.New("connection lost")
	close(kvs)
	close(errs)
	return server.ListResult{CurrentRevision: 9, KVc: kvs, Errorc: errs}
}

func (c cutting) Watch(context.Context, int64) server.WatchResult {
	events := make(chan server.EventBatch, 1)
	events <- server.EventBatch{CurrentRev: 9, Events: c.events}
	close(events)
	return server.WatchResult{CurrentRevision: 9, Eventc: events, Errorc: make(chan error, 1)}
}

func TestResultsThatBreakOff(t *testing.T) {
	event := func(revision int64) *server.Event {
		return &server.Event{KV: &server.KeyValue{Key: "/registry/a", ModRevision: revision}}
	}
	backend := Guard(cutting{events: []*server.Event{event(4), event(5)}}, nil)
	if _, kvs, err := backend.List(t.Context(), "/registry/", "/registry0", 0, 0, false); err == nil {
		t.Errorf("list: got %d keys and no error, want the error", len(kvs))
	}
	result := backend.Watch(t.Context(), 4)
	if batch, open := <-result.Eventc; open {
		t.Errorf("watch: got %v, want nothing, since 6 to 9 are missing", batch)
	}
	if err := <-result.Errorc; err == nil {
		t.Error("watch: want the error")
	}
	whole := Guard(cutting{events: []*server.Event{event(4), event(9)}}, nil)
	if batch := <-whole.Watch(t.Context(), 4).Eventc; len(batch.Events) != 2 {
		t.Errorf("watch up to the current revision: got %v, want both events", batch)
	}
}

// ending is a backend that ends the process, as kine does when a transaction cannot be ended.
type ending struct{ server.Backend }

func (ending) Compact(context.Context, int64) (int64, error) {
	logrus.Fatal("Transaction rollback failed: connection lost")
	return 0, nil
}

func TestKineDoesNotEndTheProcess(t *testing.T) {
	logrus.SetOutput(io.Discard)
	ForwardExit(logrus.StandardLogger())
	socket := filepath.Join(t.TempDir(), "kine.sock")
	listener, err := Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	grpcServer := NewServer(Guard(ending{sqliteBackend(t, "")}, nil), nil)
	var wait sync.WaitGroup
	wait.Go(func() { _ = grpcServer.Serve(listener) })
	defer wait.Wait()
	defer grpcServer.Stop()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"unix://" + socket}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Compact(t.Context(), 1); !strings.Contains(fmt.Sprint(err), "gave up") {
		t.Errorf("compact: got %v, want an error that says that the driver gave up", err)
	}
	answer, err := client.Txn(t.Context()).If(clientv3.Compare(clientv3.ModRevision("/registry/after"), "=", 0)).
		Then(clientv3.OpPut("/registry/after", "1")).Commit()
	if err != nil || !answer.Succeeded {
		t.Errorf("create after that: got %v, %v; want it done", answer, err)
	}
}

func TestListenNamesTheLimitOfAPath(t *testing.T) {
	_, err := Listen(filepath.Join(t.TempDir(), strings.Repeat("a", 120)))
	if err == nil || !strings.Contains(err.Error(), "at most 107") {
		t.Errorf("got %v, want an error that names the limit", err)
	}
}
