// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package guarded

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/k3s-io/kine/pkg/drivers/generic"
	"github.com/k3s-io/kine/pkg/drivers/sqlite"
)

// both returns a dialect of SQLite, and the same with its query prepared.
func both(tb testing.TB) (*generic.Generic, *prepared) {
	tb.Helper()
	run, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	tb.Cleanup(func() { cancel(); wait.Wait() })
	config := Config()
	config.DataSourceName = filepath.Join(tb.TempDir(), "state.db") + "?_journal_mode=WAL&_txlock=immediate"
	_, plain, err := sqlite.NewVariant(run, &wait, "sqlite3", config)
	if err != nil {
		tb.Fatal(err)
	}
	parsed, err := prepare(run, plain)
	if err != nil {
		tb.Fatal(err)
	}
	return plain, parsed
}

// lister is what the two have in common here.
type lister interface {
	ListCurrent(ctx context.Context, key, end string, limit int64, includeDeleted, keysOnly bool) (*sql.Rows, error)
}

// read returns all that a query answers.
func read(tb testing.TB, from lister, key, end string, deleted bool) string {
	tb.Helper()
	rows, err := from.ListCurrent(tb.Context(), key, end, 0, deleted, false)
	if err != nil {
		tb.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		tb.Fatal(err)
	}
	text := fmt.Sprintln(columns)
	for rows.Next() {
		values := make([]sql.NullString, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			tb.Fatal(err)
		}
		text += fmt.Sprintln(values)
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	return text
}

// TestPreparedAnswersTheSame asks both for keys that are there, were there, and never were, at
// once and by turns.
func TestPreparedAnswersTheSame(t *testing.T) {
	plain, parsed := both(t)
	insert := func(key string, deleted bool, previous int64, value string) int64 {
		t.Helper()
		revision, err := plain.Insert(t.Context(), key, previous == 0, deleted, previous, 0, []byte(value))
		if err != nil {
			t.Fatal(err)
		}
		return revision
	}
	insert("/a", false, insert("/a", false, 0, "one"), "two")
	insert("/b", true, insert("/b", false, 0, "gone"), "")
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for _, key := range []string{"/a", "/b", "/c", "/a%"} {
				for _, deleted := range []bool{false, true} {
					if got, want := read(t, parsed, key, "", deleted), read(t, plain, key, "", deleted); got != want {
						t.Errorf("%s, deleted ones %t: got %s, want %s", key, deleted, got, want)
					}
				}
			}
			if got, want := read(t, parsed, "/a", "/z", false), read(t, plain, "/a", "/z", false); got != want {
				t.Errorf("a range: got %s, want %s", got, want)
			}
		})
	}
	wait.Wait()
	before := read(t, parsed, "/c", "", false)
	insert("/c", false, 0, "new")
	if after := read(t, parsed, "/c", "", false); after == before || after != read(t, plain, "/c", "", false) {
		t.Errorf("after a write: got %s", after)
	}
}

// TestPreparedUsesTheIndex has SQLite tell how it looks for a key.
func TestPreparedUsesTheIndex(t *testing.T) {
	plain, _ := both(t)
	query := singleQuery(plain)
	if !strings.Contains(query, byExpression) {
		t.Errorf("kine looks for a key in other words now: %s", query)
	}
	rows, err := plain.DB.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, "/a", false)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	indexed := false
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		indexed = indexed || strings.HasPrefix(step, "SEARCH kine USING COVERING INDEX") && strings.Contains(step, "name=?")
	}
	if err := rows.Err(); err != nil || !indexed {
		t.Errorf("the query looks through the table, error %v", err)
	}
}

// BenchmarkSingleKey compares looking for one key by a query that is parsed each time with one
// that is prepared.
func BenchmarkSingleKey(b *testing.B) {
	plain, parsed := both(b)
	for i := range 2000 {
		if _, err := plain.Insert(b.Context(), fmt.Sprint("/", i), true, false, 0, 0, []byte("value")); err != nil {
			b.Fatal(err)
		}
	}
	for name, from := range map[string]lister{"parsed each time": plain, "prepared": parsed} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				read(b, from, "/1000", "", false)
			}
		})
	}
}
