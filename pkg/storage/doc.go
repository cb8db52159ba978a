// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package storage decides where garret-apiserver keeps its objects and gives
// back the one thing that the API machinery wants: an etcd endpoint.
//
// There are three choices. It uses an etcd cluster directly. It reaches a SQL database
// (PostgreSQL, MySQL) through kine, which speaks etcd's API in this very process. By default,
// kine stores in SQLite, in our own directory, and nothing else has to run; a file lock makes
// sure that only one process uses that directory.
//
// kine listens on a unix socket inside the data directory, which only this process's user can
// read: nobody else can bypass the API server. The address of a database may contain a
// password, so it never appears in a log or an error.
package storage
