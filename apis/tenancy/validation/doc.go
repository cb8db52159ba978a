// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package validation says what is wrong with an object of the group
// tenancy.garret.dev. Every error names the field and what to do about it.
//
// An update is judged by what it changes: a field that stays as it was is not
// looked at again, so that an object which an older Garret accepted can still
// be labelled, reported on and deleted.
package validation
