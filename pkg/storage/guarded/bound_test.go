// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package guarded

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/k3s-io/kine/pkg/server"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestBound fills a database to its bound, by creates and by updates, and wants it to be of
// use again after deletes and a compaction.
func TestBound(t *testing.T) {
	run, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	t.Cleanup(func() { cancel(); wait.Wait() })
	config := Config()
	config.CompactMinRetain = 0
	config.DataSourceName = filepath.Join(t.TempDir(), "state.db") + "?_journal_mode=WAL&_txlock=immediate&_synchronous=OFF"
	opened, err := Open(run, &wait, config)
	if err != nil {
		t.Fatal(err)
	}
	const most = 4 << 20
	backend := Bound(Guard(opened, func(err error) { t.Errorf("reported as a failure of the datastore: %v", err) }), most,
		func(used int64) string { return fmt.Sprintf("full: %d of %d", used, most) })
	ctx, value := t.Context(), bytes.Repeat([]byte("x"), 100_000)
	refused := func(what string, err error) {
		t.Helper()
		if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "full: ") {
			t.Fatalf("%s: got %v, want it refused in the words given", what, err)
		}
	}
	within := func(part int64) {
		t.Helper()
		if used, err := backend.DbSize(ctx); err != nil || used > part {
			t.Fatalf("%d bytes are in use (%v), want %d at most", used, err, part)
		}
	}
	revisions := map[string]int64{}
	// fill creates until that is refused, and returns how many there were before.
	fill := func(prefix string) int {
		t.Helper()
		for i := range 10_000 {
			key := fmt.Sprintf("/registry/%s%04d", prefix, i)
			revision, err := backend.Create(ctx, key, value, 0)
			if err != nil {
				refused("create", err)
				return i
			}
			revisions[key] = revision
		}
		t.Fatal("nothing was refused")
		return 0
	}
	created := fill("a")
	if want := most * 8 / 10 / len(value); created < want {
		t.Errorf("only %d objects fit, want at least %d", created, want)
	}
	within(most * 9 / 10)
	// The last tenth is for changes: of deletion timestamps, say.
	updates := 0
	for ; ; updates++ {
		revision, _, updated, err := backend.Update(ctx, "/registry/a0000", value, revisions["/registry/a0000"], 0)
		if err != nil {
			refused("update", err)
			break
		}
		if !updated {
			t.Fatal("an update met a conflict")
		}
		revisions["/registry/a0000"] = revision
	}
	if updates < 2 {
		t.Errorf("only %d updates fit in the room that creates leave", updates)
	}
	within(most)
	if _, kv, err := backend.Get(ctx, "/registry/a0000", 0, false); err != nil || kv == nil {
		t.Errorf("read: got %v, %v", kv, err)
	}
	var last int64
	for key, revision := range revisions {
		var deleted bool
		if last, _, deleted, err = backend.Delete(ctx, key, revision); err != nil || !deleted {
			t.Fatalf("delete %s: got %t, %v", key, deleted, err)
		}
	}
	// An API server has nothing compacted before it has written down how far.
	if _, err := backend.Create(ctx, "compact_rev_key_apiserver", []byte("1"), 0); err != nil {
		t.Errorf("the revision to compact to: %v", err)
	}
	// History holds the room until it is compacted.
	if _, err := backend.Create(ctx, "/registry/early", value, 0); err == nil {
		t.Error("there was room before the compaction: this test shows nothing of it")
	}
	if _, err := backend.Compact(ctx, last); err != nil {
		t.Fatal(err)
	}
	if again := fill("b"); again < created*9/10 {
		t.Errorf("after deletes and a compaction %d objects fit, before it were %d", again, created)
	}
	within(most)
}

// sized is a database of which only the size is known.
type sized struct {
	server.Backend
	size, asked int64
}

func (s *sized) DbSize(context.Context) (int64, error) {
	s.asked++
	return s.size, nil
}

func (s *sized) Create(context.Context, string, []byte, int64) (int64, error) { return 1, nil }

// TestBoundMeasuresSeldom wants few measurements while there is room.
func TestBoundMeasuresSeldom(t *testing.T) {
	database := &sized{size: 1 << 20}
	backend := Bound(database, 1<<30, func(int64) string { return "full" })
	for range 10_000 {
		if _, err := backend.Create(t.Context(), "k", make([]byte, 1000), 0); err != nil {
			t.Fatal(err)
		}
	}
	if database.asked < 1 || database.asked > 5 {
		t.Errorf("measured %d times in 10000 writes, want it seldom", database.asked)
	}
}
