// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	// The driver, without cgo.
	_ "modernc.org/sqlite"
)

// ErrDamaged says that a file is no whole database.
var ErrDamaged = errors.New("the database is damaged")

// Check reads all of the database at path and returns an ErrDamaged when it is
// not whole. A file that is not there is in order.
func Check(ctx context.Context, path string) error {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	db, err := open(path)
	if err != nil {
		return err
	}
	defer db.Close()
	return check(ctx, db, path)
}

func check(ctx context.Context, db *sql.DB, path string) error {
	var finding string
	// It compares every index with its table, too: kine reads through them.
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&finding); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, path, err)
	}
	if finding != "ok" {
		return fmt.Errorf("%w: %s: %s", ErrDamaged, path, strings.Join(strings.Fields(strings.Trim(finding, "* ")), " "))
	}
	return nil
}

// open opens a database for one connection at a time.
func open(path string) (*sql.DB, error) {
	address := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{
		"_pragma": {"busy_timeout(30000)"},
		"_txlock": {"immediate"},
	}.Encode()}
	db, err := sql.Open("sqlite", address.String())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	return db, nil
}
