// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package datastore

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/database"
)

// TestManyWritersAtOnce has as many write as an API server lets in, which is more
// than there are connections: they must not wait for each other's.
func TestManyWritersAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, s *database.Server) {
		backend := open(t, s, s.Endpoint)
		ctx, cancel := context.WithTimeout(t.Context(), framework.Timeout)
		defer cancel()
		var writing sync.WaitGroup
		for i := range 200 {
			writing.Go(func() {
				if _, err := backend.Create(ctx, fmt.Sprintf("%s%03d", prefix, i), []byte("x"), 0); err != nil {
					t.Errorf("create: %v", err)
				}
			})
		}
		writing.Wait()
	})
}
