// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestThreadIsNeverTheMainOne runs much at a time, so that the main thread is among
// those that the runtime could choose.
func TestThreadIsNeverTheMainOne(t *testing.T) {
	var group sync.WaitGroup
	for range 2000 {
		group.Go(func() {
			err := onThread(func() error {
				if unix.Gettid() == unix.Getpid() {
					return errors.New("on the main thread")
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}
