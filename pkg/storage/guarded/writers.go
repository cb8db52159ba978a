// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package guarded

import (
	"context"

	"github.com/k3s-io/kine/pkg/server"
	"google.golang.org/grpc/status"
)

const (
	// connections is how many are open to a database server at most.
	connections = 50
	// writers is how many write at a time. On PostgreSQL kine holds a connection
	// for a transaction and inserts over another: as many writers as there are
	// connections would wait for each other until all of them had failed.
	writers = 20
)

// queued is a backend on a database server that lets a few writers in at a time.
type queued struct {
	server.Backend
	slots chan struct{}
}

func newQueued(backend server.Backend) *queued {
	return &queued{Backend: backend, slots: make(chan struct{}, writers)}
}

func (q *queued) Create(ctx context.Context, key string, value []byte, lease int64) (int64, error) {
	if err := q.enter(ctx); err != nil {
		return 0, err
	}
	defer q.leave()
	return q.Backend.Create(ctx, key, value, lease)
}

func (q *queued) Update(ctx context.Context, key string, value []byte, revision, lease int64) (int64, *server.KeyValue, bool, error) {
	if err := q.enter(ctx); err != nil {
		return 0, nil, false, err
	}
	defer q.leave()
	return q.Backend.Update(ctx, key, value, revision, lease)
}

func (q *queued) Delete(ctx context.Context, key string, revision int64) (int64, *server.KeyValue, bool, error) {
	if err := q.enter(ctx); err != nil {
		return 0, nil, false, err
	}
	defer q.leave()
	return q.Backend.Delete(ctx, key, revision)
}

func (q *queued) enter(ctx context.Context) error {
	select {
	case q.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

func (q *queued) leave() { <-q.slots }
