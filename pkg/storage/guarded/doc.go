// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package guarded runs kine so that its answers are true.
//
// By itself, kine hides the failure of a write behind what it reads afterwards. It reports a
// create that the disk had no room for as done, and an update or a delete as a conflict, which
// the API server retries for as long as the request lives. For a key that is created again
// after a deletion, it gives a revision that may belong to another write. It treats a truncated
// result as complete, in a list and at the start of a watch; existing objects would then seem
// deleted. And it may end the process in the middle of a request. Behind this package, a write
// counts when SQLite has confirmed it, or when it can be read back from a server, and it has
// its own revision. A conflict is reported only when there is one, a result only when it is
// complete, and a request that kine gives up is one failed request.
//
// On a database server, this package also keeps the order. A row gets its revision at its
// insertion and becomes visible at its commit, and the writer with the higher revision may
// commit first. kine lists, counts and starts watches at the highest visible revision. A lower
// row that becomes visible later is in no list, and in no watch that continues from there, so a
// cache lacks the object until its next write. Here a follower reads the log in order and knows
// the revision up to which it has seen every row. Lists, counts and progress never report more,
// and watches switch from the past to the present exactly there. A list that is ahead of it
// waits for the open write, usually for milliseconds, and otherwise fails: an older answer
// would hide an acknowledged write. SQLite has one writer, and none of this.
//
// On SQLite, kine may forget the newer one of two writes that end together, until the next
// write. The progress of watches then stays behind what lists answer, and a cache that waits
// for it refuses every consistent list and every first list of an informer. Here the newest
// revision is counted beside kine.
//
// kine fills a missing revision with an empty row. A writer that was only slow then finds its
// revision taken: PostgreSQL's driver takes another, and MySQL's fails the request, which Guard
// distinguishes from a conflict. Where kine cannot fill it either, its watches continue without
// it; the follower waits for as long as a write can be open.
//
// kine deletes keys whose lease is over in a loop that ends for good once its watch was behind. Here
// another one begins again.
//
// A full volume accepts no deletes, because they are rows, too. Bound keeps a database below
// the size of its volume, and leaves room for deletes.
//
// Use it in this order: ForwardExit once, when the logs are set up, all of which pass Loggable;
// Open; Guard; Bound; Listen and NewServer. Its users decide where a database is, what its file
// is called, and who reports a failure in which words. They are garret-apiserver, through
// pkg/storage, and the control plane of virtual clusters, which is a separate Go module. So
// this package imports only kine, its logger, gRPC, and what limits a connection.
package guarded
