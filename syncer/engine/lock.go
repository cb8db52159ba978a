// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// keyLocks let one pass over each object run at a time.
type keyLocks struct {
	mu    sync.Mutex
	locks map[types.NamespacedName]*keyLock
}

type keyLock struct {
	sync.Mutex
	// users hold the lock or wait for it.
	users int
}

// lock waits until the key is free, and returns what frees it.
func (k *keyLocks) lock(key types.NamespacedName) (unlock func()) {
	k.mu.Lock()
	if k.locks == nil {
		k.locks = map[types.NamespacedName]*keyLock{}
	}
	lock, found := k.locks[key]
	if !found {
		lock = &keyLock{}
		k.locks[key] = lock
	}
	lock.users++
	k.mu.Unlock()
	lock.Lock()
	return func() {
		lock.Unlock()
		k.mu.Lock()
		defer k.mu.Unlock()
		if lock.users--; lock.users == 0 {
			delete(k.locks, key)
		}
	}
}
