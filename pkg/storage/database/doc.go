// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package database manages the file of the embedded datastore: it checks whether the file is
// intact, copies it consistently while others write to it, and restores such a copy.
//
// A restored database continues with revisions above all earlier ones, and treats all earlier
// history as compacted. So a client that saw writes after the backup gets the answer that its
// resourceVersion is too old, and lists again, instead of waiting for a version in the past.
package database
