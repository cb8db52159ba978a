// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package guarded

import (
	"context"
	"time"

	"github.com/k3s-io/kine/pkg/server"
	"github.com/k3s-io/kine/pkg/ttl"
)

// expiryPause is how long expire waits before it begins, and before it begins again.
const expiryPause = time.Minute

// expire deletes keys whose lease is over, until ctx ends. kine has a loop of its own for that, which ends for
// good when its watch was not read for a while: then Events would stay until the next start. Whichever
// of the two comes second finds nothing to delete.
func expire(ctx context.Context, backend server.Backend) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(expiryPause):
		}
		ttl.Run(ctx, backend)
	}
}
