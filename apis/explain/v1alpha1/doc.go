// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 is the API explain.garret.dev, which a syncer serves inside its virtual
// cluster. It says what happened to an object on the host, and why.
//
// Its resources have the names of the synced kinds, and one verb, get. The syncer computes each
// answer when it is asked, and stores none.
package v1alpha1
