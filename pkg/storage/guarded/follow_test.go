// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package guarded

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/k3s-io/kine/pkg/server"
)

// table is a backend that has these revisions, and tells nobody when others come.
type table struct {
	server.Backend
	mu        sync.Mutex
	revisions []int64
	compacted int64
}

func (b *table) insert(revisions ...int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.revisions = append(b.revisions, revisions...)
	slices.Sort(b.revisions)
}

func (b *table) Get(context.Context, string, int64, bool) (int64, *server.KeyValue, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.revisions[len(b.revisions)-1], nil, nil
}

func (b *table) Watch(_ context.Context, from int64) server.WatchResult {
	b.mu.Lock()
	defer b.mu.Unlock()
	events := make(chan server.EventBatch, 1)
	result := server.WatchResult{Eventc: events, CurrentRevision: b.revisions[len(b.revisions)-1]}
	if from == 0 {
		return result
	}
	if from <= b.compacted {
		result.CompactRevision = b.compacted
	}
	batch := server.EventBatch{CurrentRev: result.CurrentRevision}
	for _, revision := range b.revisions {
		if revision >= from {
			batch.Events = append(batch.Events, &server.Event{KV: &server.KeyValue{ModRevision: revision}})
		}
	}
	events <- batch
	return result
}

// following runs a test on a follower of a table, in a time of its own.
func following(t *testing.T, b *table, test func(t *testing.T, run context.Context, f *follower)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		run, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		defer func() { cancel(); wait.Wait() }()
		f, err := follow(run, &wait, b)
		if err != nil {
			t.Fatal(err)
		}
		test(t, run, f)
	})
}

func TestFollowerWaitsForAGap(t *testing.T) {
	b := &table{revisions: []int64{1, 2, 3}}
	following(t, b, func(t *testing.T, run context.Context, f *follower) {
		_, watch := f.watch(run)
		b.insert(5)
		time.Sleep(gapLife / 2)
		if whole, _ := f.seen(); whole != 3 {
			t.Errorf("while 4 is missing: got %d, want 3", whole)
		}
		b.insert(4, 6)
		if err := f.await(run, 6); err != nil {
			t.Fatal(err)
		}
		var got []int64
		for _, event := range (<-watch).Events {
			got = append(got, event.KV.ModRevision)
		}
		if !slices.Equal(got, []int64{4, 5, 6}) {
			t.Errorf("got %v, want 4 to 6", got)
		}
	})
}

func TestFollowerGivesAGapUp(t *testing.T) {
	b := &table{revisions: []int64{1, 2}}
	following(t, b, func(t *testing.T, run context.Context, f *follower) {
		b.insert(7)
		begin := time.Now()
		if err := f.await(run, 7); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took < gapLife || took > gapLife+2*lookInterval {
			t.Errorf("got it after %s, want %s", took, gapLife)
		}
	})
}

// TestFollowerStartsBelowOpenWrites has rows missing that may still come when it starts.
func TestFollowerStartsBelowOpenWrites(t *testing.T) {
	b := &table{revisions: []int64{1, 2, 4}}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		time.AfterFunc(5*time.Second, func() { b.insert(3) })
		run, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		defer func() { cancel(); wait.Wait() }()
		if _, err := follow(run, &wait, b); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 5*time.Second || took > 5*time.Second+2*lookInterval {
			t.Errorf("it follows after %s, want it when the row has come, after 5s", took)
		}
	})
}

func TestFollowerEndsWatchesThatMissedSomething(t *testing.T) {
	b := &table{revisions: []int64{1, 2, 3}}
	following(t, b, func(t *testing.T, run context.Context, f *follower) {
		_, watch := f.watch(run)
		b.mu.Lock()
		b.revisions, b.compacted = []int64{1, 1501, 1502}, 1500
		b.mu.Unlock()
		if err := f.await(run, 1502); err != nil {
			t.Fatal(err)
		}
		if batch, open := <-watch; open {
			t.Errorf("compacted away: got %v, want the end", batch)
		}

		_, slow := f.watch(run)
		for revision := int64(1503); revision < 1503+watchBuffer+2; revision++ {
			b.insert(revision)
			if err := f.await(run, revision); err != nil {
				t.Fatal(err)
			}
		}
		count := 0
		for range slow {
			count++
		}
		if count != watchBuffer {
			t.Errorf("not read in time: got %d batches before the end, want %d", count, watchBuffer)
		}
	})
}
