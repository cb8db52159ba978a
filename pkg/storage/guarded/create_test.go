// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package guarded

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/k3s-io/kine/pkg/server"
)

// TestCreateAgain makes a key that was deleted, over and over, while others
// write. Each time the revision must be the object's own: a client that is told
// another has its next update refused.
func TestCreateAgain(t *testing.T) {
	// Waiters look every 100 ms whether the lock is free, and with a slow disk below
	// it, it hardly ever would be. Nothing here has to outlive the process.
	sqlite := func(t *testing.T) server.Backend {
		return sqliteBackend(t, "&_pragma=busy_timeout(30000)&_pragma=synchronous(off)")
	}
	for name, open := range map[string]func(t *testing.T) server.Backend{
		"told": sqlite,
		// As of a database server, whose driver tells nothing.
		"not told": func(t *testing.T) server.Backend { return silent{sqlite(t)} },
	} {
		t.Run(name, func(t *testing.T) {
			backend := Guard(open(t), func(err error) { t.Errorf("refused: %v", err) })
			var others sync.WaitGroup
			ctx, cancel := context.WithCancel(t.Context())
			for i := range 4 {
				others.Go(func() {
					for n := 0; ctx.Err() == nil; n++ {
						_, _ = backend.Create(context.WithoutCancel(ctx), fmt.Sprintf("/registry/other/%d-%d", i, n), nil, 0)
					}
				})
			}
			defer others.Wait()
			defer cancel()
			for n := range 100 {
				revision, err := backend.Create(t.Context(), "/registry/again", fmt.Append(nil, n), 0)
				if err != nil {
					t.Fatalf("create %d: %v", n, err)
				}
				_, kv, err := backend.Get(t.Context(), "/registry/again", 0, true)
				if err != nil || kv == nil || kv.ModRevision != revision {
					t.Fatalf("create %d: got revision %d, and the object is %+v, %v", n, revision, kv, err)
				}
				if _, _, deleted, err := backend.Delete(t.Context(), "/registry/again", revision); err != nil || !deleted {
					t.Fatalf("delete %d: %v, %v", n, deleted, err)
				}
			}
		})
	}
}

// TestCreateUnanswered writes by a connection that ends before the answer. That
// is no conflict, which only another's object is.
func TestCreateUnanswered(t *testing.T) {
	plain := sqliteBackend(t, "")
	backend := Guard(unanswered{plain}, func(error) {})
	if _, err := backend.Create(t.Context(), "/registry/a", []byte("mine"), 0); err == nil || errors.Is(err, server.ErrKeyExists) || !strings.Contains(err.Error(), "may have done it") {
		t.Errorf("written, unanswered: got %v, want an error that says that it may be done", err)
	}
	if _, err := plain.Create(t.Context(), "/registry/b", []byte("another's"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := backend.Create(t.Context(), "/registry/b", []byte("mine"), 0); !errors.Is(err, server.ErrKeyExists) {
		t.Errorf("another's: got %v, want a conflict", err)
	}
}

// unanswered finds its own write after the connection has ended, as kine does.
type unanswered struct{ server.Backend }

func (u unanswered) Create(ctx context.Context, key string, value []byte, lease int64) (int64, error) {
	_, _ = silent{u.Backend}.Create(ctx, key, value, lease)
	return 0, server.ErrKeyExists
}

// silent keeps the outcome of a write to itself.
type silent struct{ server.Backend }

func (s silent) Create(ctx context.Context, key string, value []byte, lease int64) (int64, error) {
	return s.Backend.Create(context.WithValue(ctx, outcomeKey{}, nil), key, value, lease)
}
