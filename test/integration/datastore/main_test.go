// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package datastore tests pkg/storage/guarded on real database servers, below
// any API server: what several writers make of the order of revisions, and
// connections that nothing comes through any more.
package datastore

import (
	"context"
	"io"
	"os"
	"sync"
	"testing"

	"github.com/k3s-io/kine/pkg/drivers"
	"github.com/k3s-io/kine/pkg/server"
	"github.com/k3s-io/kine/pkg/tls"
	"github.com/sirupsen/logrus"

	"garret.dev/garret/pkg/storage/guarded"
	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/database"
)

func TestMain(m *testing.M) {
	framework.SideBySide(8)
	logrus.SetOutput(io.Discard)
	guarded.ForwardExit(logrus.StandardLogger())
	os.Exit(m.Run())
}

// servers are the databases that several writers may share.
var servers = []struct {
	name  string
	start func(testing.TB) *database.Server
}{
	{"postgres", database.StartPostgres},
	{"mariadb", database.StartMariaDB},
}

// onEach runs a test on each of them.
func onEach(t *testing.T, test func(t *testing.T, s *database.Server)) {
	t.Parallel()
	for _, kind := range servers {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			test(t, kind.start(t))
		})
	}
}

func config(s *database.Server, endpoint string) *drivers.Config {
	config := guarded.Config()
	config.Endpoint = endpoint
	config.BackendTLSConfig = tls.Config{CAFile: s.CAFile, CertFile: s.CertFile, KeyFile: s.KeyFile}
	return config
}

// lifetime is that of a datastore, which ends with the test.
func lifetime(t testing.TB) (context.Context, *sync.WaitGroup) {
	run, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	t.Cleanup(func() { cancel(); wait.Wait() })
	return run, &wait
}

// open opens the datastore by an endpoint as Garret does: it is a replica of its own.
func open(t testing.TB, s *database.Server, endpoint string) server.Backend {
	t.Helper()
	backend, err := tryOpen(t, s, endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return backend
}

func tryOpen(t testing.TB, s *database.Server, endpoint string) (server.Backend, error) {
	run, wait := lifetime(t)
	backend, err := guarded.Open(run, wait, config(s, endpoint))
	if err != nil {
		return nil, err
	}
	return guarded.Guard(backend, func(error) {}), nil
}

// openPlain opens it with kine alone.
func openPlain(t testing.TB, s *database.Server, endpoint string) server.Backend {
	t.Helper()
	run, wait := lifetime(t)
	_, backend, err := drivers.New(run, wait, config(s, endpoint))
	if err == nil {
		err = backend.Start(run)
	}
	if err != nil {
		t.Fatal(err)
	}
	return backend
}
