// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sealed keeps Secrets among those of others, and reads back only what it
// wrote itself.
//
// The records of a release are in a namespace where others may write Secrets, too. Decoding a
// record of somebody else is dangerous: a few hundred kilobytes can unfold to gigabytes. So
// each record has a seal, a keyed digest of its namespace, its name, its labels, and its data.
// The key is in Garret's own namespace. For the reader, a Secret without a valid seal does not
// exist, whatever it contains.
//
// The reader also limits what it requests. It lists metadata, a few objects at a time, and
// reads only the data of Secrets with a valid seal, one at a time.
//
// A seal does not prove that a record is the newest. Whoever may write Secrets can restore one
// that was valid under that very name. The reader has to make sure that an old record does no
// harm.
package sealed
