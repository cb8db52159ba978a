// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package database

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Summary tells what a backup holds.
type Summary struct {
	// Revision is the newest write in it.
	Revision int64 `json:"revision"`
	// Objects is how many keys are in it.
	Objects int64 `json:"objects"`
	// Bytes and SHA256 are of the file.
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Backup writes a consistent copy of the database at path to out, while the
// database may be written to. The copy is checked before any of it is written.
func Backup(ctx context.Context, path string, out io.Writer) (Summary, error) {
	if _, err := os.Stat(path); err != nil {
		return Summary{}, fmt.Errorf("no embedded database: %w", err)
	}
	// Not beside the database: a copy that is not finished must not fill its volume.
	dir, err := os.MkdirTemp("", "backup")
	if err != nil {
		return Summary{}, err
	}
	defer os.RemoveAll(dir)
	copied := filepath.Join(dir, "copy")
	if err := copyTo(ctx, path, copied); err != nil {
		return Summary{}, err
	}
	summary, err := inspect(ctx, copied)
	if err != nil {
		return Summary{}, err
	}
	file, err := os.Open(copied)
	if err != nil {
		return Summary{}, err
	}
	defer file.Close()
	hash := sha256.New()
	if summary.Bytes, err = io.Copy(io.MultiWriter(out, hash), file); err != nil {
		return Summary{}, fmt.Errorf("write the backup: %w", err)
	}
	summary.SHA256 = hex.EncodeToString(hash.Sum(nil))
	return summary, nil
}

func copyTo(ctx context.Context, path, target string) error {
	db, err := open(path)
	if err != nil {
		return err
	}
	defer db.Close()
	// A copy of one moment; writers go on meanwhile.
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", target); err != nil {
		return fmt.Errorf("copy of %s: %w", path, err)
	}
	return nil
}

// inspect checks a copy, and that it is one of ours.
func inspect(ctx context.Context, path string) (Summary, error) {
	db, err := open(path)
	if err != nil {
		return Summary{}, err
	}
	defer db.Close()
	if err := check(ctx, db, path); err != nil {
		return Summary{}, err
	}
	return summarize(ctx, db)
}

func summarize(ctx context.Context, db *sql.DB) (Summary, error) {
	var s Summary
	err := db.QueryRowContext(ctx, `SELECT COALESCE(MAX(id), 0), (SELECT COUNT(*) FROM
		(SELECT MAX(id), deleted FROM kine WHERE name LIKE '/%' GROUP BY name) WHERE deleted = 0) FROM kine`).Scan(&s.Revision, &s.Objects)
	if err != nil {
		return Summary{}, fmt.Errorf("it is no database of garret-apiserver: %w", err)
	}
	return s, nil
}
