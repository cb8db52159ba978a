// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package guarded runs kine so that what it answers is true.
//
// kine, as it is, hides the failure of a write behind what it reads afterwards:
// a create that the disk had no room for is reported as done, an update or a
// delete as a conflict, which the API server answers by trying for as long as
// the request lives. Of a key that is made again after it was deleted it gives a
// revision that may be another write's. It takes a result that was cut short for
// a whole one in a list, and in what a watch starts from; objects would seem
// deleted that are there. And it may end the process in the middle of a request.
// Behind this package a write counts when SQLite has said so, or when it can be
// read back from a server, and has its own revision; a conflict counts when there
// is one, a result when its end was reached, and a request that kine gives up is
// one failed request.
//
// On a database server it also keeps the order. A row gets its revision when it
// is inserted and is seen when it is committed, and of several writers the one with
// the higher revision may commit first. kine lists, counts and begins watches at
// the highest revision in sight: a row below it that comes into sight later is in no
// list and in no watch that goes on from there, so that a cache lacks the object
// until it is written again. Here a follower reads the log in order and knows the
// revision up to which it has seen every row; lists, counts and progress never speak
// of more, and watches change from the past to the present exactly there. A list
// that is ahead of it waits for the open write, which is a matter of milliseconds,
// and fails where it is not: an older answer would hide what was acknowledged.
// SQLite has one writer, and none of this.
//
// A revision that does not appear is filled by kine with a row that means nothing.
// A writer that was only slow finds its revision taken then: PostgreSQL's driver
// takes another, and MySQL's has the request fail, which Guard tells from a conflict.
// Where kine cannot fill it either, it tells its watches to go on without; the
// follower does not, for as long as a write can be open.
//
// A volume that is full takes no deletes, which are rows, too. Bound keeps a database
// below what its volume can bear, and leaves room for what makes room.
//
// It is used in this order: ForwardExit once, when the logs are set up, all of
// which pass Loggable; Open; Guard; Bound; Listen and NewServer. Where a database lies,
// what its file is called, who reports a failure and in which words, is for
// those who use it: garret-apiserver by pkg/storage, and the control plane of
// virtual clusters, which is a Go module of its own. So nothing is imported here
// but kine, its logger, gRPC, and what limits a connection.
package guarded
