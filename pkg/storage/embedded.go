// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/k3s-io/kine/pkg/drivers"
	"github.com/k3s-io/kine/pkg/server"

	"garret.dev/garret/pkg/storage/database"
	"garret.dev/garret/pkg/storage/guarded"
)

// openEmbedded opens the database in the data directory, after a look at
// whether it is whole: a damaged one may answer for a long time, with less and
// less of what it held, so it is not served at all.
func openEmbedded(run context.Context, wait *sync.WaitGroup, config *drivers.Config) (server.Backend, error) {
	path, _, _ := strings.Cut(config.DataSourceName, "?")
	if err := database.Check(run, path); err != nil {
		return nil, fmt.Errorf("%w; nothing is served from it, lest more be lost. Restore a backup with "+
			"\"garret restore FILE --force\" (see docs/storage.md), or move the file away to begin with none", err)
	}
	if err := private(path); err != nil {
		return nil, err
	}
	backend, err := guarded.Open(run, wait, config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return backend, nil
}

// private keeps the database to this user, whatever the mode of the volume's
// directory: it holds all specs. SQLite gives its other files the same mode.
func private(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	return file.Chmod(0o600)
}
