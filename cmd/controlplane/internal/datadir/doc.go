// Package datadir is the data directory of a k3s server: where each file lies,
// and the certificates, keys, kubeconfigs and tokens in it.
//
// Four authorities sign everything. server-ca signs what clients verify, and client-ca signs
// what identifies clients to the API server. request-header-ca signs for those who may speak
// for others through the aggregation layer. kubelet-ca, which k3s does not have, signs what
// identifies the API server and kubelets to each other. The first start creates the authorities
// unless an operator has put its own there; nothing ever replaces them. All other certificates
// are valid for a year. They are renewed when fewer than ninety days are left, at a start or
// while running; their keys stay, so that a reader in between never sees a pair that does not
// match.
//
// Everything is written to a temporary file beside its place and renamed, so a
// kill at any moment leaves the old or the new content, never half of it.
package datadir
