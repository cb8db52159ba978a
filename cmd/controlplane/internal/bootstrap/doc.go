// Package bootstrap saves kube-apiserver the second that its two bootstrap hooks spend on a
// cluster where they have nothing to do.
//
// Upstream reconciles bootstrap roles and priority classes in hooks that /readyz waits for, and
// each hook begins by waiting a second. On a seeded database, and at every restart, all objects
// exist already. The hooks here look first: they list what is stored and run upstream's own
// reconciliation against the lists, without writing. They finish only if that finds nothing at
// all to do. In every other case, including errors, upstream's hook runs as if this package did
// not exist. Names stay upstream's, so /readyz and its checks read the same.
package bootstrap
