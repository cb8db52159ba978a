// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package lineage tells whether the data of a control plane are still those that
// the objects on the host stand for.
//
// Data go back in time when a backup is put back or a replica of the database is
// promoted, and start afresh when a volume is lost. To a syncer both look as
// if somebody had deleted everything younger, so it needs other evidence.
//
// # Checkpoints
//
// A checkpoint is a number that grows and a random id. The syncer writes it inside
// first, as an annotation of the namespace kube-system, and then on the host, into
// the ConfigMap vc-NAME-lineage beside the incarnation: the UID of that namespace,
// which is another one in every new set of data. A new checkpoint follows within
// checkpointDelay of whatever the syncer created on the host.
//
// The data are the same when the incarnation is, and the checkpoint inside is the
// host's or a later one. A later one is left by a syncer that ended between the
// two writes. An annotation that somebody removed counts as the same while the
// namespace is younger than the last checkpoint.
//
// What was created on the host within the last checkpointDelay before both the
// syncer and the data were lost has no checkpoint after it. It may be taken for
// deleted; what holds data never is, since its deletion has to be seen.
package lineage
