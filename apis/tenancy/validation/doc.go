// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package validation says what is wrong with an object of the group tenancy.garret.dev. Every
// error names the field and the remedy.
//
// For an update, it checks only the changed fields. So users can still label and delete an
// object that an older Garret accepted, and Garret can still report its status.
package validation
