// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package database

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"

	// The driver that looks whether the server answers.
	_ "github.com/go-sql-driver/mysql"
)

// StartMariaDB runs a MariaDB server on loopback until the test ends. Over TCP
// it takes nobody without TLS, a client certificate of its authority and the password.
func StartMariaDB(t testing.TB) *Server { return StartMariaDBAt(t, net.IPv4(127, 0, 0, 1)) }

// StartMariaDBAt runs it on another address of this machine.
func StartMariaDBAt(t testing.TB, address net.IP) *Server {
	t.Helper()
	h := newHome(t, "mysql", address)
	h.prepare(t, installed(t, "/usr/bin/mariadb-install-db"), "--no-defaults", "--datadir="+h.path("data"),
		"--auth-root-authentication-method=normal", "--skip-test-db")
	script := h.path("users.sql")
	statements := fmt.Sprintf("CREATE USER garret IDENTIFIED BY '%s' REQUIRE X509;\nGRANT ALL ON garret.* TO garret;", Password)
	if err := os.WriteFile(script, []byte(statements+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	socket := h.path("sock")
	s := h.start(t, syscall.SIGTERM, installed(t, "/usr/sbin/mariadbd"), "--no-defaults", "--datadir="+h.path("data"),
		"--bind-address="+address.String(), "--port="+strconv.Itoa(h.port), "--socket="+socket, "--pid-file="+h.path("pid"),
		"--init-file="+script, "--innodb-flush-log-at-trx-commit=0", "--skip-name-resolve",
		"--ssl-ca="+h.authority.file, "--ssl-cert="+h.serverCert, "--ssl-key="+h.serverKey)
	s.Endpoint = fmt.Sprintf("mysql://garret:%s@tcp(%s)/garret", Password, s.Address)
	s.Flags = []string{"--datastore-endpoint=" + s.Endpoint, "--datastore-cafile=" + s.CAFile,
		"--datastore-certfile=" + s.CertFile, "--datastore-keyfile=" + s.KeyFile}
	await(t, s, func(ctx context.Context) error {
		db, err := sql.Open("mysql", "root@unix("+socket+")/")
		if err != nil {
			return err
		}
		defer db.Close()
		return db.PingContext(ctx)
	})
	return s
}
