// Package datadir is the data directory of a k3s server: where each file lies,
// and the certificates, keys, kubeconfigs and tokens in it.
//
// Four authorities sign everything: server-ca what clients verify, client-ca
// what the API server believes a client to be, request-header-ca who may speak
// for others through the aggregation layer, and kubelet-ca, which k3s has not, what the API server
// and kubelets are to each other. They are made on the first start
// unless an operator has put its own there, and are never replaced. All other
// certificates live a year and are made again when fewer than ninety days are
// left, at a start or while running; their keys stay, so that a reader in
// between never sees a pair that does not match.
//
// Everything is written to a temporary file beside its place and renamed, so a
// kill at any moment leaves the old or the new content, never half of it.
package datadir
