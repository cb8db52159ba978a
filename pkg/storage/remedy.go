// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// remedy is what to do about a trouble, in words for who runs Garret.
func remedy(trouble error, embedded bool) string {
	if !embedded {
		return "look at the database server, at its log and at the network between; nothing that was acknowledged is lost, " +
			"and this process goes on by itself when the database does"
	}
	var cause *sqlite.Error
	if !errors.As(trouble, &cause) {
		return "look at the volume of --data-dir: it is slow or stands still"
	}
	// The lower byte is the kind of an error, the rest where it came from.
	switch cause.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return "free space on the volume of --data-dir, or make it larger; this process goes on by itself then"
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return "the database is damaged: take a copy of --data-dir, then \"garret restore FILE --force\" with the last backup"
	case sqlite3.SQLITE_READONLY:
		return "the volume of --data-dir can only be read: look why the node has mounted it so"
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN:
		return "the volume of --data-dir fails: look at the node's kernel log"
	}
	return "look at the volume of --data-dir"
}
