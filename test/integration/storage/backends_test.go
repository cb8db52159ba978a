// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"testing"

	"garret.dev/garret/test/integration/framework/database"
)

// backend is a datastore that garret-apiserver can have.
type backend struct {
	name string
	// start runs it and returns the flags that choose it.
	start func(t *testing.T) []string
	// shared says that several replicas may work on it.
	shared bool
}

var backends = []backend{
	{"sqlite", func(*testing.T) []string { return nil }, false},
	{"postgres over tls", func(t *testing.T) []string { return database.StartPostgres(t).Flags }, true},
	{"postgres over a unix socket", func(t *testing.T) []string { return database.StartPostgres(t).OverSocket() }, true},
	{"mariadb over tls with a client certificate", func(t *testing.T) []string { return database.StartMariaDB(t).Flags }, true},
	{"etcd over tls with a client certificate", func(t *testing.T) []string { return database.StartEtcd(t).Flags }, true},
}

// TestBackends holds every datastore to the same: one suite, and a second one for those that replicas share.
func TestBackends(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend.name, func(t *testing.T) {
			t.Parallel()
			flags := append(backend.start(t), "--etcd-compaction-interval=1s")
			first := startReplica(t, flags...)
			for _, check := range checks {
				t.Run(check.name, func(t *testing.T) { check.run(t, first, shared.host.NewNamespace(t, "store-")) })
			}
			if !backend.shared {
				return
			}
			second := startReplica(t, flags...)
			for _, check := range sharedChecks {
				t.Run(check.name, func(t *testing.T) { check.run(t, first, second, shared.host.NewNamespace(t, "store-")) })
			}
		})
	}
}
