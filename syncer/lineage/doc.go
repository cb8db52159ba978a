// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package lineage decides whether the data of a control plane still belong to the objects on
// the host.
//
// Data go back in time when somebody restores a backup or promotes a replica of the database,
// and start empty after the loss of a volume. To a syncer, both look as if somebody had deleted
// everything younger, so it needs other evidence.
//
// # Checkpoints
//
// A checkpoint is a growing number and a random id. The syncer writes it inside first, as an
// annotation of the namespace kube-system, and then on the host, into the ConfigMap
// vc-NAME-lineage beside the incarnation: the UID of that namespace, which differs in every new
// set of data. A new checkpoint follows within checkpointDelay of whatever the syncer created
// on the host.
//
// The data are the same when the incarnation is the same, and the checkpoint inside is the
// host's or a later one. A syncer that ended between the two writes leaves a later one. An
// annotation that somebody removed counts as the same while the namespace is younger than the
// last checkpoint.
//
// An object created on the host within the last checkpointDelay before the loss of both the
// syncer and the data has no checkpoint after it. The syncer may treat it as deleted. It never
// does so with an object that holds data, because it must see that deletion.
package lineage
