// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package explain tells a tenant what happened to an object on the host, field by field, and
// why.
//
// The engine reads both sides, and asks the translation what it would write now (engine.Look).
// A verdict follows only from these: nothing here knows a kind. So a verdict cannot differ from
// what the syncer does, and a new kind costs no line.
//
// The API server inside passes requests on, by an APIService, with the name of the caller
// (package kubelet identifies it by its certificate). Everybody inside may ask; this package
// decides by the caller's own rights to get the object and to list Events. A caller then learns
// where the host object is, which of its fields this virtual cluster set, and numbers, switches
// and quantities. The package hides texts that only the host wrote, and their names: they may
// be about others. It also hides the data and annotations of Secrets, because whoever may get
// them can do so inside.
package explain
