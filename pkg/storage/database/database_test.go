// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package database

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// newDatabase makes one with kine's table and two objects, one of which changed and one of which is deleted.
func newDatabase(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.db")
	db, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `
		CREATE TABLE kine (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, created INTEGER, deleted INTEGER,
			create_revision INTEGER, prev_revision INTEGER, lease INTEGER, value BLOB, old_value BLOB);
		CREATE UNIQUE INDEX kine_name_prev_revision_uindex ON kine (name, prev_revision);
		INSERT INTO kine(name, created, deleted, create_revision, prev_revision, lease, value, old_value) VALUES
			('compact_rev_key', 1, 0, 0, 0, 0, '', NULL),
			('/registry/a', 1, 0, 0, 0, 0, 'first', NULL),
			('/registry/b', 1, 0, 0, 0, 0, 'gone', NULL),
			('/registry/a', 0, 0, 2, 2, 0, 'second', 'first'),
			('/registry/b', 0, 1, 3, 3, 0, 'gone', 'gone');`); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBackupAndRestore(t *testing.T) {
	path := newDatabase(t)
	var saved bytes.Buffer
	summary, err := Backup(t.Context(), path, &saved)
	if err != nil {
		t.Fatal(err)
	}
	if summary.Revision != 5 || summary.Objects != 1 || summary.Bytes != int64(saved.Len()) {
		t.Errorf("backup of %d bytes: got %+v, want revision 5 and 1 object", saved.Len(), summary)
	}
	target := filepath.Join(t.TempDir(), "state.db")
	now := time.Now()
	restored, err := Restore(t.Context(), Restoration{Path: target, Source: bytes.NewReader(saved.Bytes()), SHA256: summary.SHA256, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if restored.Revision != now.UnixMicro() {
		t.Errorf("restored: got revision %d, want the time, %d", restored.Revision, now.UnixMicro())
	}
	db, err := open(target)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var id, compacted, newest int64
	var value string
	if err := db.QueryRowContext(t.Context(), `SELECT id, value, (SELECT prev_revision FROM kine WHERE name = 'compact_rev_key'), (SELECT MAX(id) FROM kine)
		FROM kine WHERE name LIKE '/%'`).Scan(&id, &value, &compacted, &newest); err != nil {
		t.Fatal(err)
	}
	if id != 4 || value != "second" || compacted != restored.Revision || newest != restored.Revision {
		t.Errorf("got version %d with %q, compacted to %d of %d; want 4 with its last value, and both %d", id, value, compacted, newest, restored.Revision)
	}
	content, err := os.ReadFile(target)
	if err != nil || bytes.Contains(content, []byte("first")) {
		t.Errorf("the restored file still has a value of an earlier version (%v)", err)
	}
}

// TestRestoreOverANewerOne has the database that is replaced be ahead of the clock.
func TestRestoreOverANewerOne(t *testing.T) {
	path := newDatabase(t)
	var saved bytes.Buffer
	if _, err := Backup(t.Context(), path, &saved); err != nil {
		t.Fatal(err)
	}
	early := time.UnixMicro(3)
	if _, err := Restore(t.Context(), Restoration{Path: path, Source: bytes.NewReader(saved.Bytes()), Now: early}); !errors.Is(err, ErrExists) {
		t.Errorf("unforced: got %v, want ErrExists", err)
	}
	restored, err := Restore(t.Context(), Restoration{Path: path, Source: bytes.NewReader(saved.Bytes()), Now: early, Force: true})
	if err != nil || restored.Revision != 6 {
		t.Errorf("forced: got revision %d, %v; want one above all that there were", restored.Revision, err)
	}
	if err := Check(t.Context(), path+ReplacedSuffix); err != nil {
		t.Errorf("the one that was replaced: %v, want it kept whole", err)
	}
}

func TestCheck(t *testing.T) {
	path := newDatabase(t)
	if err := Check(t.Context(), path); err != nil {
		t.Errorf("whole: got %v", err)
	}
	if err := Check(t.Context(), path+"-not-there"); err != nil {
		t.Errorf("not there: got %v, want nothing", err)
	}
	for name, offset := range map[string]int{"the header": 0, "a page": 4096} {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		copy(content[offset:], bytes.Repeat([]byte{0xff}, 600))
		broken := filepath.Join(t.TempDir(), "state.db")
		if err := os.WriteFile(broken, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Check(t.Context(), broken); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), broken) {
			t.Errorf("%s overwritten: got %v, want ErrDamaged with the path", name, err)
		}
	}
}
