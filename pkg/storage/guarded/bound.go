// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package guarded

import (
	"context"
	"strings"
	"sync"

	"github.com/k3s-io/kine/pkg/server"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// spare is the part of a bound that creates leave to updates, one in so many: an
	// object is marked before it is deleted, and leases are renewed.
	spare = 10
	// rowBytes is what a row has besides its value, roughly.
	rowBytes = 512
	// measureEvery is the part of a bound after whose writing the database is measured.
	measureEvery = 100
	// compactRevision begins the keys in which an API server writes how far it compacts.
	// Without that write nothing is compacted, so it finds room in the fullest database.
	compactRevision = "compact_rev_key"
)

// Bound returns a backend that keeps the database from growing beyond most bytes of
// pages in use. Creates are refused in the last tenth of them, updates at the end, and
// deletes never: they and the next compaction make room again. SQLite's own bound,
// max_page_count, would refuse deletes, too, since to kine they are rows. The
// function says in the client's words why a write was refused, given the bytes in use.
func Bound(backend server.Backend, most int64, refusal func(used int64) string) server.Backend {
	return &bounded{Backend: backend, most: most, refusal: refusal, unmeasured: most}
}

type bounded struct {
	server.Backend
	most    int64
	refusal func(used int64) string

	mu sync.Mutex
	// measured is what was in use last, unmeasured what was written since.
	measured, unmeasured int64
}

// Create implements server.Backend, as does Update.
func (b *bounded) Create(ctx context.Context, key string, value []byte, lease int64) (int64, error) {
	if err := b.take(ctx, key, len(value), b.most-b.most/spare); err != nil {
		return 0, err
	}
	return b.Backend.Create(ctx, key, value, lease)
}

func (b *bounded) Update(ctx context.Context, key string, value []byte, revision, lease int64) (int64, *server.KeyValue, bool, error) {
	if err := b.take(ctx, key, len(value), b.most); err != nil {
		return 0, nil, false, err
	}
	return b.Backend.Update(ctx, key, value, revision, lease)
}

// take counts a value that is about to be written, unless the database has no room for it.
func (b *bounded) take(ctx context.Context, key string, bytes int, most int64) error {
	if strings.HasPrefix(key, compactRevision) {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	wanted := int64(bytes) + rowBytes
	if b.unmeasured+wanted > b.most/measureEvery || b.measured+b.unmeasured+wanted > most {
		// One that cannot be measured cannot be written to either, which the write will tell.
		if used, err := b.Backend.DbSize(ctx); err == nil {
			b.measured, b.unmeasured = used, 0
		}
	}
	if b.measured+b.unmeasured+wanted > most {
		return status.Error(codes.ResourceExhausted, b.refusal(b.measured))
	}
	b.unmeasured += wanted
	return nil
}
