// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sealed keeps Secrets among those of others, and reads back only what it
// wrote itself.
//
// The records of a release lie in a namespace where others may write Secrets, too.
// Whoever decodes a record that somebody else wrote does that one's work: a few
// hundred kilobytes unfold to gigabytes. So each record has a seal, a keyed digest
// of its namespace, its name, its labels, and its data. The key lies in Garret's own
// namespace. A Secret without a valid seal is not there for the reader, whatever it
// holds.
//
// What the reader asks for is bounded, too. It lists metadata, a few objects at a
// time, and reads the data of those alone whose seal fits: one Secret at a time.
//
// A seal does not say that a record is the newest. Whoever may write Secrets can put
// back one that was valid under that very name. It is up to the reader that an old
// record does no harm.
package sealed
