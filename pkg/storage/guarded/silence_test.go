// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package guarded

import (
	"testing"
	"time"

	"github.com/k3s-io/kine/pkg/drivers"
)

func TestSessionsOfMySQL(t *testing.T) {
	for _, row := range []struct{ name, endpoint, want string }{
		{"both are added", "mysql://u:p@ss/w?rd@tcp(db:3306)/garret", "mysql://u:p@ss/w?rd@tcp(db:3306)/garret?innodb_lock_wait_timeout=50&wait_timeout=20"},
		{"what is chosen stays", "mysql://u@tcp(db:3306)/garret?tls=true&wait_timeout=5", "mysql://u@tcp(db:3306)/garret?tls=true&innodb_lock_wait_timeout=50&wait_timeout=5"},
		{"a socket", "mysql://u@unix(/run/db)/garret", "mysql://u@unix(/run/db)/garret?innodb_lock_wait_timeout=50&wait_timeout=20"},
		{"kine's own default", "mysql://", "mysql://"},
		{"others are as they were", "postgres://u:p@db/garret?x=y", "postgres://u:p@db/garret?x=y"},
	} {
		t.Run(row.name, func(t *testing.T) {
			config := &drivers.Config{Endpoint: row.endpoint}
			config.ConnectionPoolConfig.MaxIdleTime = time.Hour
			// As often as it is opened.
			for range 2 {
				if err := boundSilence(config); err != nil {
					t.Fatal(err)
				}
			}
			if config.Endpoint != row.want {
				t.Errorf("got %s, want %s", config.Endpoint, row.want)
			}
		})
	}
	if err := boundSilence(&drivers.Config{Endpoint: "mysql://nonsense"}); err == nil {
		t.Error("an endpoint that cannot be read: want an error")
	}
}
