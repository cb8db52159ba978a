// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package database

import (
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"os"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	// The driver of PostgreSQL for database/sql.
	_ "github.com/jackc/pgx/v5/stdlib"
)

// Connect opens the database garret of a SQL server beside those that use it, as the same user.
func (s *Server) Connect(t testing.TB) *sql.DB {
	t.Helper()
	driver, source := "pgx", s.Endpoint+"?sslmode=verify-full&sslrootcert="+s.CAFile
	if scheme, dsn, _ := strings.Cut(s.Endpoint, "://"); scheme == "mysql" {
		// By its address, since the names of such settings are the process's.
		if err := mysql.RegisterTLSConfig(s.Address, s.clientTLS(t)); err != nil {
			t.Fatal(err)
		}
		driver, source = "mysql", dsn+"?tls="+s.Address
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func (s *Server) clientTLS(t testing.TB) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(s.CertFile, s.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}
}
