// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"k8s.io/klog/v2/ktesting"

	"garret.dev/garret/pkg/storage/guarded"
)

// TestFullDatabaseHasARemedy fills a database, and asks what to do about the error that this gives.
func TestFullDatabaseHasARemedy(t *testing.T) {
	_, ctx := ktesting.NewTestContext(t)
	run, cancel := context.WithCancel(ctx)
	var wait sync.WaitGroup
	defer wait.Wait()
	defer cancel()
	config, err := kineConfig(&Options{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	config.DataSourceName += "&_pragma=max_page_count(60)"
	opened, err := openEmbedded(run, &wait, config)
	if err != nil {
		t.Fatal(err)
	}
	var refused error
	backend := guarded.Guard(opened, func(err error) { refused = err })
	for i := 0; refused == nil && i < 100; i++ {
		_, _ = backend.Create(ctx, fmt.Sprintf("/registry/%02d", i), make([]byte, 10_000), 0)
	}
	if got := remedy(refused, true); !strings.Contains(got, "free space") {
		t.Errorf("remedy of %v: got %q, want one that speaks of space", refused, got)
	}
}
