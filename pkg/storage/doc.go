// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package storage decides where garret-apiserver keeps its objects and gives
// back the one thing that the API machinery wants: an etcd endpoint.
//
// There are three choices. An etcd cluster is used as it is. A SQL database
// (PostgreSQL, MySQL) is reached through kine, which speaks etcd's API in this
// very process. By default kine stores in SQLite, in a directory of ours, and
// nothing else has to be run; one process only may then hold that directory,
// which a file lock ensures.
//
// kine is offered on a unix socket inside the data directory, readable by this
// process's user alone: nobody who is not already this user can go around the
// API server. The address of a database may hold a password and therefore
// never appears in a log or in an error.
package storage
