// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import "sync"

// bufferSize is what one direction of one stream holds.
const bufferSize = 32 << 10

// bufferPool lends the buffers through which streams are copied.
type bufferPool struct{ pool sync.Pool }

func newBufferPool() *bufferPool {
	return &bufferPool{pool: sync.Pool{New: func() any { return new([bufferSize]byte) }}}
}

// Get lends a buffer.
func (p *bufferPool) Get() []byte { return p.pool.Get().(*[bufferSize]byte)[:] }

// Put takes a buffer back.
func (p *bufferPool) Put(b []byte) { p.pool.Put((*[bufferSize]byte)(b)) }
