// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package database

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// ReplacedSuffix is what the name of a database that was replaced gets.
const ReplacedSuffix = ".before-restore"

// ErrExists says that there is a database, which is not replaced unasked.
var ErrExists = errors.New("there is a database already")

// Restoration is what Restore needs to know.
type Restoration struct {
	// Path is where the database shall be.
	Path string
	// Source is a backup.
	Source io.Reader
	// SHA256 is that of the whole backup, in hex. Empty, it is not compared.
	SHA256 string
	// Force replaces a database that is there; it is kept beside the new one.
	Force bool
	// Now is the time, from which the first revision is taken.
	Now time.Time
}

// Restore replaces a database that nobody has open with a backup. Until
// all of it is written and checked, nothing changes.
func Restore(ctx context.Context, r Restoration) (Summary, error) {
	_, err := os.Stat(r.Path)
	exists := err == nil
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return Summary{}, err
	}
	if exists && !r.Force {
		return Summary{}, fmt.Errorf("%w: %s", ErrExists, r.Path)
	}
	// Beside its place, so that it gets there at once.
	dir, err := os.MkdirTemp(filepath.Dir(r.Path), "restore")
	if err != nil {
		return Summary{}, err
	}
	defer os.RemoveAll(dir)
	fresh := filepath.Join(dir, "copy")
	written, err := receive(fresh, r.Source, r.SHA256)
	if err != nil {
		return Summary{}, err
	}
	summary, err := inspect(ctx, fresh)
	if err != nil {
		return Summary{}, err
	}
	summary.Bytes, summary.SHA256 = written.Bytes, written.SHA256

	// Microseconds of the clock are ahead of any count of writes, and of what an earlier restore set.
	next := max(r.Now.UnixMicro(), summary.Revision+1)
	if exists {
		next = max(next, newest(ctx, r.Path)+1)
	}
	if err := advance(ctx, fresh, next); err != nil {
		return Summary{}, fmt.Errorf("revisions of the restored database: %w", err)
	}
	summary.Revision = next
	return summary, replace(fresh, r.Path)
}

// receive writes the backup to a file and compares its checksum.
func receive(path string, source io.Reader, want string) (Summary, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return Summary{}, err
	}
	defer file.Close()
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(file, hash), source)
	if err != nil {
		return Summary{}, fmt.Errorf("read the backup: %w", err)
	}
	got := hex.EncodeToString(hash.Sum(nil))
	if want != "" && got != want {
		return Summary{}, fmt.Errorf("the backup did not arrive whole: %d bytes with SHA-256 %s, want %s", n, got, want)
	}
	if n == 0 {
		return Summary{}, errors.New("the backup is empty")
	}
	return Summary{Bytes: n, SHA256: got}, file.Sync()
}

// newest is the highest revision that a database ever gave out, as far as that can still be read.
func newest(ctx context.Context, path string) int64 {
	db, err := open(path)
	if err != nil {
		return 0
	}
	defer db.Close()
	var revision int64
	if err := db.QueryRowContext(ctx, "SELECT seq FROM sqlite_sequence WHERE name = 'kine'").Scan(&revision); err != nil {
		return 0
	}
	return revision
}

// advance makes next the current revision, and all history before it compacted:
// who asks for a version that was issued after the backup has to list
// again. The newest version of each object stays, with the version it had.
func advance(ctx context.Context, path string, next int64) error {
	db, err := open(path)
	if err != nil {
		return err
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, `DELETE FROM kine WHERE deleted != 0 OR id NOT IN (SELECT MAX(id) FROM kine GROUP BY name)`); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE kine SET old_value = NULL`); err != nil {
		return err
	}
	if err := markCompacted(ctx, tx, next); err != nil {
		return err
	}
	// The row that kine fills a gap with; watches pass over it.
	if _, err := tx.ExecContext(ctx, `INSERT INTO kine(id, name, created, deleted, create_revision, prev_revision, lease)
		VALUES (?, ?, 0, 1, 0, 0, 0)`, next, fmt.Sprintf("gap-%d", next)); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM")
	return err
}

// markCompacted writes the row in which kine keeps how far history is compacted.
func markCompacted(ctx context.Context, tx *sql.Tx, revision int64) error {
	result, err := tx.ExecContext(ctx, `UPDATE kine SET prev_revision = ? WHERE name = 'compact_rev_key'`, revision)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n > 0 {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO kine(name, created, deleted, create_revision, prev_revision, lease, value)
		VALUES ('compact_rev_key', 1, 0, 0, ?, 0, x'')`, revision)
	return err
}

// replace puts the fresh database into its place and keeps the one that was
// there under another name. The log of the old one must be gone before: SQLite
// would apply it to the new one. Broken off in between, the old database is
// still there, at most without its last writes, which are in the kept log.
func replace(fresh, path string) error {
	kept := path + ReplacedSuffix
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(kept + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := os.Link(path, kept); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(path+"-wal", kept+"-wal"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Remove(path + "-shm"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(fresh, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
