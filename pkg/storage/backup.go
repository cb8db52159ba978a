// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"garret.dev/garret/pkg/storage/database"
)

// lockPatience is how long a restore waits for a process that is about to end.
const lockPatience = 2 * time.Second

// Backup writes a copy of the embedded database to out; garret-apiserver may run meanwhile.
func Backup(ctx context.Context, options *Options, out io.Writer) (database.Summary, error) {
	path, err := options.database()
	if err != nil {
		return database.Summary{}, err
	}
	return database.Backup(ctx, path, out)
}

// Restore puts a backup into the data directory, which no garret-apiserver may
// be using. An existing database is replaced only if forced.
func Restore(ctx context.Context, options *Options, source io.Reader, sha256 string, force bool) (database.Summary, error) {
	path, err := options.database()
	if err != nil {
		return database.Summary{}, err
	}
	if err := os.MkdirAll(options.DataDir, 0o700); err != nil {
		return database.Summary{}, fmt.Errorf("data directory %s: %w", options.DataDir, err)
	}
	patience, done := context.WithTimeout(ctx, lockPatience)
	defer done()
	held, err := acquire(patience, filepath.Join(options.DataDir, lockName))
	if err != nil {
		return database.Summary{}, fmt.Errorf("garret-apiserver is running on %s: stop it first: %w", options.DataDir, err)
	}
	defer held.release()
	summary, err := database.Restore(ctx, database.Restoration{Path: path, Source: source, SHA256: sha256, Force: force, Now: time.Now()})
	if errors.Is(err, database.ErrExists) {
		return summary, fmt.Errorf("%w; --force replaces it, and keeps it as %s", err, path+database.ReplacedSuffix)
	}
	return summary, err
}
