// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package database looks after the file of the embedded datastore: whether it
// is whole, copies of it that are consistent although it is being written to,
// and putting such a copy in its place.
//
// A restored database goes on with revisions above every one that was ever
// given out, and counts all earlier history as compacted. So a client that saw
// what was written after the backup gets the answer that its resourceVersion is too old
// and lists again, instead of waiting for a version that lies in the past.
package database
