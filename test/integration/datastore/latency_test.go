// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package datastore

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/k3s-io/kine/pkg/server"

	"garret.dev/garret/pkg/storage/guarded"
)

// listed is where a list finds as much each time, however many objects were made elsewhere.
const listed = prefix + "listed/"

// BenchmarkCreateAndList makes an object and lists others, with kine's order and with
// Garret's, by one client and by eight: what a list costs that must not leave a write out.
func BenchmarkCreateAndList(b *testing.B) {
	for _, kind := range servers {
		s := kind.start(b)
		plain := guarded.Guard(openPlain(b, s, s.Endpoint), func(error) {})
		ordered := open(b, s, s.Endpoint)
		for i := range 10 {
			create(b, plain, fmt.Sprintf("%s%d", listed, i))
		}
		var count atomic.Int64
		for _, clients := range []int{1, 8} {
			for _, order := range []struct {
				name    string
				backend server.Backend
			}{{"kine", plain}, {"garret", ordered}} {
				b.Run(fmt.Sprintf("%s/%d/%s", kind.name, clients, order.name), func(b *testing.B) {
					// For each of GOMAXPROCS, which is 1 where the names shall be true.
					b.SetParallelism(clients)
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							key := fmt.Sprintf("%smade/%08d", prefix, count.Add(1))
							if _, err := order.backend.Create(b.Context(), key, []byte("x"), 0); err != nil {
								b.Error(err)
							}
							if _, _, err := order.backend.List(b.Context(), listed, listed+"~", 0, 0, false); err != nil {
								b.Error(err)
							}
						}
					})
				})
			}
		}
	}
}
