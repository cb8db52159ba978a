// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package database runs real database servers for tests: PostgreSQL and MariaDB
// from Debian's packages, and etcd, each on a free port of loopback with its
// data in a directory of its own, over TLS with a certificate authority of its
// own. The SQL servers refuse to run as root; they run as the users that their
// packages made. A
// Proxy stands between a server and its clients where the network shall be bad.
package database
