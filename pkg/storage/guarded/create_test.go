// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package guarded

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/k3s-io/kine/pkg/server"
)

// TestCreateAgain makes a key that was deleted, over and over, while others
// write. Each time the revision must be the object's own: a client that is told
// another has its next update refused.
func TestCreateAgain(t *testing.T) {
	sqlite := func(t *testing.T) server.Backend { return sqliteBackend(t, "&_pragma=busy_timeout(30000)") }
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

// silent keeps the outcome of a write to itself.
type silent struct{ server.Backend }

func (s silent) Create(ctx context.Context, key string, value []byte, lease int64) (int64, error) {
	return s.Backend.Create(context.WithValue(ctx, outcomeKey{}, nil), key, value, lease)
}
