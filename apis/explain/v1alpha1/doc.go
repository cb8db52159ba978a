// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 is the API explain.garret.dev, which a syncer serves inside its virtual
// cluster: what became of an object on the host, and why.
//
// Its resources have the names of the kinds that are synced, and one verb, get. What it
// answers is computed for each request and stored nowhere.
package v1alpha1
