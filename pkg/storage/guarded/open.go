// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package guarded

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/k3s-io/kine/pkg/drivers"
	"github.com/k3s-io/kine/pkg/drivers/sqlite"
	"github.com/k3s-io/kine/pkg/logstructured"
	"github.com/k3s-io/kine/pkg/logstructured/sqllog"
	"github.com/k3s-io/kine/pkg/server"

	// The drivers of the supported endpoints register themselves.
	_ "github.com/k3s-io/kine/pkg/drivers/mysql"
	_ "github.com/k3s-io/kine/pkg/drivers/pgsql"
)

// retained is how many of the newest rows are never compacted.
const retained = 1000

// Config returns a value for each setting that does not depend on the database,
// since kine has defaults only in its command line. History is compacted by the
// API server (every five minutes unless --etcd-compaction-interval says
// otherwise), and the watch cache follows that; a second compactor in kine could
// take away revisions that the first promised.
func Config() *drivers.Config {
	config := &drivers.Config{
		// Own writes are announced at once; polling finds those of other replicas.
		PollInterval:  time.Second,
		PollBatchSize: 500,

		CompactInterval:  0,
		CompactTimeout:   5 * time.Second,
		CompactMinRetain: retained,
		CompactBatchSize: 1000,
	}
	config.ConnectionPoolConfig.MaxIdleTime = 2 * time.Minute
	return config
}

// Open opens the database that config names and begins to serve it, until run
// ends and wait is done: a server by Endpoint, or a file of SQLite by an
// Endpoint with the scheme sqlite or by DataSourceName. Errors may hold the
// endpoint, and the password in it.
func Open(run context.Context, wait *sync.WaitGroup, config *drivers.Config) (server.Backend, error) {
	backend, err := assemble(run, wait, config)
	if err != nil {
		return nil, err
	}
	if err := start(run, backend); err != nil {
		return nil, err
	}
	wait.Go(func() { expire(run, backend) })
	if s, ok := backend.(*single); ok {
		// SQLite has one writer at a time: what is numbered first is there first. From here on
		// the newest revision is known.
		if _, err := backend.CurrentRevision(run); err != nil {
			return nil, err
		}
		told, seen := s.events(run), s.newest.known()
		wait.Go(func() { s.announce(run, told, seen) })
		return backend, nil
	}
	log, err := follow(run, wait, backend)
	if err != nil {
		return nil, err
	}
	return &ordered{Backend: newQueued(backend), log: log}, nil
}

// embedded tells whether the database is a file of SQLite.
func embedded(config *drivers.Config) bool {
	scheme, _, found := strings.Cut(config.Endpoint, "://")
	return !found || scheme == "sqlite"
}

// assemble puts the backend of SQLite together from its parts, so that it tells
// why a write failed. The drivers of servers do not give theirs out: of them
// only that a write failed is known, and kine's log has the reason.
func assemble(run context.Context, wait *sync.WaitGroup, config *drivers.Config) (server.Backend, error) {
	if !embedded(config) {
		config.ConnectionPoolConfig.MaxOpen = connections
		if err := boundSilence(config); err != nil {
			return nil, err
		}
		_, backend, err := drivers.New(run, wait, config)
		return backend, err
	}
	if _, file, found := strings.Cut(config.Endpoint, "://"); found {
		config.DataSourceName = file
	}
	_, dialect, err := sqlite.NewVariant(run, wait, "sqlite3", config)
	if err != nil {
		return nil, err
	}
	parsed, err := prepare(run, dialect)
	if err != nil {
		return nil, err
	}
	log := counting{Log: sqllog.New(parsed, wait, config), newest: newNewest()}
	return &single{Backend: logstructured.New(log), newest: log.newest}, nil
}

// start begins a backend, for which kine may decide to end the process.
func start(ctx context.Context, backend server.Backend) (err error) {
	defer func() {
		if gaveUp := asGivenUp(recover()); gaveUp != nil {
			err = gaveUp
		}
	}()
	return backend.Start(ctx)
}
