// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package guarded

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/k3s-io/kine/pkg/server"
)

// dropping is a backend that ends the first watches at once, as kine does with those that are not read.
type dropping struct {
	server.Backend
	watches int
	deleted []string
}

func (d *dropping) List(context.Context, string, string, int64, int64, bool) (int64, []*server.KeyValue, error) {
	return 1, nil, nil
}

func (d *dropping) Watch(context.Context, int64) server.WatchResult {
	d.watches++
	events := make(chan server.EventBatch, 1)
	if d.watches < 3 {
		close(events)
	} else {
		events <- server.EventBatch{Events: []*server.Event{{KV: &server.KeyValue{Key: "event", ModRevision: 2, Lease: 3600}}}}
	}
	return server.WatchResult{Eventc: events, Errorc: make(chan error)}
}

func (d *dropping) Delete(_ context.Context, key string, _ int64) (int64, *server.KeyValue, bool, error) {
	d.deleted = append(d.deleted, key)
	return 3, nil, true, nil
}

func TestLeasesExpireAfterALostWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		d := &dropping{}
		go expire(ctx, d)
		// The clock is the bubble's, and nobody waits.
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(d.deleted) > 0 {
			t.Errorf("deleted %v before its lease was over", d.deleted)
		}
		time.Sleep(4 * expiryPause)
		synctest.Wait()
		if len(d.deleted) != 1 || d.deleted[0] != "event" {
			t.Errorf("deleted %v after %d watches, want the key whose lease is over", d.deleted, d.watches)
		}
		cancel()
		synctest.Wait()
	})
}
