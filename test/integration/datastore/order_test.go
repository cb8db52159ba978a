// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package datastore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/k3s-io/kine/pkg/server"

	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/database"
)

// tooEarly is how long a test waits for an answer that must not come: one that
// does come fails it, however fast or slow the machine is.
const tooEarly = 2 * time.Second

const prefix, prefixEnd = "/registry/", "/registry0"

// openWrite inserts an object in a transaction that stays open, as does a writer
// between its insert and its commit.
func openWrite(t *testing.T, db *sql.DB, key string) *sql.Tx {
	t.Helper()
	tx, err := db.BeginTx(context.Background(), nil)
	must(t, err)
	t.Cleanup(func() { _ = tx.Rollback() })
	_, err = tx.Exec("INSERT INTO kine(name, created, deleted, create_revision, prev_revision, lease, value, old_value) " +
		"VALUES('" + key + "', 1, 0, 0, 0, 0, 'x', NULL)")
	must(t, err)
	return tx
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t testing.TB, backend server.Backend, key string) int64 {
	t.Helper()
	revision, err := backend.Create(t.Context(), key, []byte("x"), 0)
	if err != nil {
		t.Fatalf("create %s: %v", key, err)
	}
	return revision
}

// list gives the names that a list has.
func list(ctx context.Context, backend server.Backend, revision int64) (int64, []string, error) {
	at, kvs, err := backend.List(ctx, prefix, prefixEnd, 0, revision, true)
	var names []string
	for _, kv := range kvs {
		if name := strings.TrimPrefix(kv.Key, prefix); name != "health" {
			names = append(names, name)
		}
	}
	return at, names, err
}

// until reads a watch until an object was made, and gives the names of all that were, in order.
func until(t *testing.T, watch server.WatchResult, from int64, last string) []string {
	t.Helper()
	var names []string
	timeout := time.After(framework.Timeout)
	for {
		select {
		case batch, open := <-watch.Eventc:
			if !open {
				t.Fatalf("the watch ended after %v, before %s", names, last)
			}
			for _, event := range batch.Events {
				if event.KV.ModRevision < from || !strings.HasPrefix(event.KV.Key, prefix) {
					continue // as kine's server does
				}
				names = append(names, strings.TrimPrefix(event.KV.Key, prefix))
				if names[len(names)-1] == last {
					return names
				}
			}
		case <-timeout:
			t.Fatalf("the watch had %v, and not %s", names, last)
		}
	}
}

func want(t *testing.T, what string, got []string, names ...string) {
	t.Helper()
	if !slices.Equal(got, names) {
		t.Errorf("%s: got %v, want %v", what, got, names)
	}
}

// TestOpenWrite has a write with a lower revision commit after one with a higher:
// whoever lists, watches or starts in between must learn of it.
func TestOpenWrite(t *testing.T) {
	onEach(t, func(t *testing.T, s *database.Server) {
		backend, plain := open(t, s, s.Endpoint), openPlain(t, s, s.Endpoint)
		before := create(t, backend, prefix+"before")
		early := backend.Watch(t.Context(), before+1)

		slow := openWrite(t, s.Connect(t), prefix+"slow")
		fast := create(t, backend, prefix+"fast")
		if fast <= before+1 {
			t.Fatalf("fast has revision %d after %d: the open write has none before it", fast, before)
		}
		lostAt, names, err := list(t.Context(), plain, 0)
		must(t, err)
		want(t, "a list of kine alone, at which this began", names, "before", "fast")
		lost := plain.Watch(t.Context(), lostAt+1)

		if revision, kv, err := backend.Get(t.Context(), prefix+"fast", 0, true); err != nil || kv == nil || revision < fast {
			t.Errorf("get of what was acknowledged: got %v at %d, %v; want it at once", kv, revision, err)
		}
		if revision, err := backend.CurrentRevision(t.Context()); err != nil || revision >= fast {
			t.Errorf("progress: got %d, %v; want less than %d", revision, err, fast)
		}
		for _, revision := range []int64{0, fast} {
			limited, cancel := context.WithTimeout(t.Context(), tooEarly)
			if at, names, err := list(limited, backend, revision); err == nil {
				t.Errorf("list at %d: got %v at %d while a write before it is open", revision, names, at)
			}
			if at, count, err := backend.Count(limited, prefix, prefixEnd, revision); err == nil {
				t.Errorf("count at %d: got %d at %d while a write before it is open", revision, count, at)
			}
			cancel()
		}
		if at, names, err := list(t.Context(), backend, before); err != nil || !slices.Equal(names, []string{"before"}) {
			t.Errorf("list of an earlier revision: got %v at %d, %v; want it at once", names, at, err)
		}
		late, now := backend.Watch(t.Context(), before+1), backend.Watch(t.Context(), 0)
		ahead := backend.Watch(t.Context(), fast+1)
		var second server.Backend
		started := make(chan error, 1)
		go func() {
			var err error
			second, err = tryOpen(t, s, s.Endpoint)
			started <- err
		}()
		select {
		case err := <-started:
			must(t, err)
			t.Error("another replica has started while a write before its first revision is open")
			started <- nil
		case <-time.After(tooEarly):
		}
		waiting := make(chan []string)
		go func() {
			_, names, err := list(t.Context(), backend, 0)
			waiting <- append(names, fmt.Sprint(err))
		}()

		must(t, slow.Commit())
		want(t, "the list that waited", <-waiting, "before", "fast", "slow", "<nil>")
		must(t, <-started)
		for _, b := range []server.Backend{backend, second} {
			at, names, err := list(t.Context(), b, 0)
			must(t, err)
			want(t, "list", names, "before", "fast", "slow")
			if at < fast {
				t.Errorf("list: got revision %d, want at least %d", at, fast)
			}
		}
		create(t, backend, prefix+"last")
		want(t, "a watch that began before", until(t, early, before+1, "last"), "slow", "fast", "last")
		want(t, "a watch that began in between", until(t, late, before+1, "last"), "slow", "fast", "last")
		want(t, "a watch from now on that began in between", until(t, now, 0, "last"), "slow", "fast", "last")
		want(t, "a watch that began in between, after fast", until(t, ahead, fast+1, "last"), "last")
		if names := until(t, lost, lostAt+1, "last"); slices.Contains(names, "slow") {
			t.Errorf("kine alone: got %v, want slow to be lost: the order has become needless", names)
		}
	})
}

// TestWriteThatFailed has a write take a revision and undo itself: nothing waits for it for long.
func TestWriteThatFailed(t *testing.T) {
	onEach(t, func(t *testing.T, s *database.Server) {
		backend := open(t, s, s.Endpoint)
		before := create(t, backend, prefix+"before")
		watch := backend.Watch(t.Context(), before+1)
		failed := openWrite(t, s.Connect(t), prefix+"failed")
		create(t, backend, prefix+"fast")
		must(t, failed.Rollback())
		_, names, err := list(t.Context(), backend, 0)
		must(t, err)
		want(t, "list", names, "before", "fast")
		want(t, "watch", until(t, watch, before+1, "fast"), "fast")
	})
}

// TestRevisionTaken has a writer find that its revision was filled meanwhile, as
// kine does with one that does not appear. The client must not take that for success, nor for a conflict.
func TestRevisionTaken(t *testing.T) {
	t.Parallel()
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		s := database.StartPostgres(t)
		backend := open(t, s, s.Endpoint)
		before := create(t, backend, prefix+"before")
		_, err := s.Connect(t).Exec(fmt.Sprintf("INSERT INTO kine(id, name, created, deleted, create_revision, prev_revision, lease) "+
			"VALUES(%d, 'gap-%[1]d', 0, 1, 0, 0, 0)", before+1))
		must(t, err)
		if after := create(t, backend, prefix+"after"); after != before+2 {
			t.Errorf("got revision %d, want it tried again and made as %d", after, before+2)
		}
	})
	t.Run("mariadb", func(t *testing.T) {
		t.Parallel()
		s := database.StartMariaDB(t)
		backend := open(t, s, s.Endpoint)
		changed := create(t, backend, prefix+"changed")
		_, err := s.Connect(t).Exec("CREATE TRIGGER taken BEFORE INSERT ON kine FOR EACH ROW SET NEW.id = 1")
		must(t, err)
		if revision, err := backend.Create(t.Context(), prefix+"new", nil, 0); err == nil || err == server.ErrKeyExists {
			t.Errorf("create: got %d, %v; want a failure", revision, err)
		}
		if _, _, updated, err := backend.Update(t.Context(), prefix+"changed", nil, changed, 0); updated || err == nil {
			t.Errorf("update: got %v, %v; want a failure, not a conflict", updated, err)
		}
		if _, _, deleted, err := backend.Delete(t.Context(), prefix+"changed", changed); deleted || err == nil {
			t.Errorf("delete: got %v, %v; want a failure, not a conflict", deleted, err)
		}
	})
}

// TestManyWriters has two replicas write as fast as they can, and followers of
// each that start all the time: each must have seen all in the end, and a list
// after a write must have it.
func TestManyWriters(t *testing.T) {
	onEach(t, func(t *testing.T, s *database.Server) {
		const writers, each = 6, 30
		replicas := []server.Backend{open(t, s, s.Endpoint), open(t, s, s.Endpoint)}
		var writing, following sync.WaitGroup
		for i := range writers {
			writer, reader := replicas[i%2], replicas[i/2%2]
			writing.Go(func() {
				for j := range each {
					name := fmt.Sprintf("%02d-%02d", i, j)
					revision, err := writer.Create(t.Context(), prefix+name, []byte("x"), 0)
					if err != nil {
						t.Errorf("create: %v", err)
						return
					}
					if j%5 > 0 {
						continue
					}
					at, names, err := list(t.Context(), reader, 0)
					if err != nil || at < revision || !slices.Contains(names, name) {
						t.Errorf("list after the create of %s at %d: got %d names at %d, %v", name, revision, len(names), at, err)
					}
					following.Go(func() {
						watch := reader.Watch(t.Context(), at+1)
						seen := append(names, until(t, watch, at+1, "zz")...)
						slices.Sort(seen)
						if distinct := len(slices.Compact(slices.Clone(seen))); len(seen) != writers*each+1 || distinct != len(seen) {
							t.Errorf("one who listed at %d and watched on saw %d objects, %d of them different; want %d", at, len(seen), distinct, writers*each+1)
						}
					})
				}
			})
		}
		writing.Wait()
		create(t, replicas[0], prefix+"zz")
		following.Wait()
	})
}
