// Package datastore gives the API server an etcd: kine in this process on
// SQLite, Postgres or MySQL, or an etcd cluster that is already there.
//
// It imports kine's drivers one by one instead of its endpoint package, which would also link a
// NATS server and an object store.
//
// An acknowledged write survives the end of the process at any moment: SQLite runs with a
// write-ahead log and synchronous=NORMAL, so a committed transaction is with the operating
// system before the answer is sent. Only a machine that loses power may lose the last commits,
// and even then the database stays consistent. FULL would pay an fsync for each write, which on
// a container's network volume is most of the time of a write.
package datastore
