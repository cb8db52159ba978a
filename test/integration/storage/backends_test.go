// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"testing"

	"garret.dev/garret/test/framework/database"
)

// backend is a datastore that garret-apiserver can have.
type backend struct {
	name string
	// start runs it and returns the flags that choose it.
	start func(t *testing.T) []string
	// shared says that several replicas may work on it.
	shared bool
	// another says that it is one of the others, reached in another way: it is held to
	// what goes over the connection, and the rest is said once.
	another bool
}

var backends = []backend{
	{"sqlite", func(*testing.T) []string { return nil }, false, false},
	{"postgres over tls", func(t *testing.T) []string { return database.StartPostgres(t).Flags }, true, false},
	{"postgres over a unix socket", func(t *testing.T) []string { return database.StartPostgres(t).OverSocket() }, true, true},
	{"mariadb over tls with a client certificate", func(t *testing.T) []string { return database.StartMariaDB(t).Flags }, true, false},
	{"etcd over tls with a client certificate", func(t *testing.T) []string { return database.StartEtcd(t).Flags }, true, false},
}

// TestBackends holds every datastore to the same: one suite, and a second one for those that replicas share.
func TestBackends(t *testing.T) {
	t.Parallel()
	for _, backend := range backends {
		t.Run(backend.name, func(t *testing.T) {
			t.Parallel()
			flags := append(backend.start(t), "--etcd-compaction-interval=1s")
			first := startReplica(t, flags...)
			for _, check := range checks {
				if backend.another && !check.connection {
					continue
				}
				t.Run(check.name, func(t *testing.T) { check.run(t, first, shared.host.NewNamespace(t, "store-")) })
			}
			if !backend.shared {
				return
			}
			second := startReplica(t, flags...)
			for _, check := range sharedChecks {
				if backend.another && !check.connection {
					continue
				}
				t.Run(check.name, func(t *testing.T) { check.run(t, first, second, shared.host.NewNamespace(t, "store-")) })
			}
		})
	}
}
