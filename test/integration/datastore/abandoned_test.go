// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package datastore

import (
	"context"
	"fmt"
	"testing"

	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/database"
)

// TestAbandonedTransaction cuts a replica off between its insert and its commit,
// which are two requests on MySQL: the server must undo that write, and the others
// go on, before anybody takes its revision for one that will not come.
func TestAbandonedTransaction(t *testing.T) {
	t.Parallel()
	s := database.StartMariaDB(t)
	proxy, db := s.Proxy(t), s.Connect(t)
	cutOff, other := open(t, s, proxy.Of(s.Endpoint)), open(t, s, s.Endpoint)
	before := create(t, other, prefix+"before")
	watch := other.Watch(t.Context(), before+1)

	// An object of the same name holds the insert up until nothing comes through.
	rival := openWrite(t, db, prefix+"abandoned")
	written := make(chan error, 1)
	go func() {
		_, err := cutOff.Create(t.Context(), prefix+"abandoned", []byte("x"), 0)
		written <- err
	}()
	framework.Eventually(t, "the insert waits", func(ctx context.Context) (bool, error) {
		var waiting int
		err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%INSERT INTO kine%' AND id != CONNECTION_ID()").Scan(&waiting)
		return waiting > 0, err
	})
	proxy.Swallow(t)
	must(t, rival.Rollback())
	last := create(t, other, prefix+"last")

	framework.Eventually(t, "the abandoned revision is filled", func(ctx context.Context) (bool, error) {
		var filled int
		err := db.QueryRowContext(ctx, fmt.Sprintf("SELECT COUNT(*) FROM kine WHERE id = %d AND name LIKE 'gap-%%'", last-1)).Scan(&filled)
		return filled > 0, err
	})
	want(t, "the watch of the other", until(t, watch, before+1, "last"), "last")
	if _, names, err := list(t.Context(), other, 0); err != nil || len(names) != 2 {
		t.Errorf("list: got %v, %v; want before and last", names, err)
	}
	if err := <-written; err == nil {
		t.Error("the write that was undone was acknowledged")
	}
}
