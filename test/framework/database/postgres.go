// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package database

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"garret.dev/garret/test/framework"
)

// StartPostgres runs a PostgreSQL server on loopback until the test ends. Over
// TCP it takes TLS and the password only.
func StartPostgres(t testing.TB) *Server { return StartPostgresAt(t, net.IPv4(127, 0, 0, 1)) }

// StartPostgresAt runs it on another address of this machine.
func StartPostgresAt(t testing.TB, address net.IP) *Server {
	t.Helper()
	initdb := installed(t, "/usr/lib/postgresql/*/bin/initdb")
	h := newHome(t, "postgres", address)
	password := h.path("password")
	if err := os.WriteFile(password, []byte(Password), 0o644); err != nil {
		t.Fatal(err)
	}
	h.prepare(t, initdb, "--pgdata="+h.path("data"), "--username=garret", "--pwfile="+password,
		"--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--no-sync")
	rules := "local all all trust\nhostssl all all all scram-sha-256\n"
	if err := os.WriteFile(h.path("data/pg_hba.conf"), []byte(rules), 0o644); err != nil {
		t.Fatal(err)
	}
	s := h.start(t, syscall.SIGQUIT, filepath.Join(filepath.Dir(initdb), "postgres"), "-D", h.path("data"),
		"-h", address.String(), "-p", strconv.Itoa(h.port), "-k", h.dir, "-c", "ssl=on", "-c", "fsync=off",
		"-c", "ssl_cert_file="+h.serverCert, "-c", "ssl_key_file="+h.serverKey, "-c", "ssl_ca_file="+h.authority.file)
	s.Endpoint = fmt.Sprintf("postgres://garret:%s@%s/garret", Password, s.Address)
	s.Flags = []string{"--datastore-endpoint=" + s.Endpoint, "--datastore-cafile=" + s.CAFile}
	local := fmt.Sprintf("host=%s port=%d user=garret dbname=postgres", h.dir, h.port)
	await(t, s, func(ctx context.Context) error {
		connection, err := pgx.Connect(ctx, local)
		if err != nil {
			return err
		}
		return connection.Close(ctx)
	})
	return s
}

// OverSocket are the flags that reach a PostgreSQL server over its unix socket, as a process on its machine does.
func (s *Server) OverSocket() []string {
	_, port, _ := net.SplitHostPort(s.Address)
	return []string{fmt.Sprintf("--datastore-endpoint=postgres://garret@/garret?host=%s&port=%s", s.command.Dir, port)}
}

// Statement runs a statement of SQL in a PostgreSQL server, as its owner.
func (s *Server) Statement(t testing.TB, statement string) {
	t.Helper()
	_, port, _ := net.SplitHostPort(s.Address)
	connection, err := pgx.Connect(t.Context(), fmt.Sprintf("host=%s port=%s user=garret dbname=postgres", s.command.Dir, port))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close(t.Context())
	if _, err := connection.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// await waits until the server takes connections.
func await(t testing.TB, s *Server, connect func(context.Context) error) {
	t.Helper()
	last := error(nil)
	err := framework.Poll(t.Context(), func(ctx context.Context) (bool, error) {
		if err := s.ended(); err != nil {
			return false, err
		}
		last = connect(ctx)
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("the database server takes no connections: %v; last: %v", err, last)
	}
}
