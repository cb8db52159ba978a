// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package explain tells a tenant what became of an object on the host, field by field, and why.
//
// The engine looks at both sides, and has the translation say what it would ask for now
// (engine.Look). A verdict follows from these alone: nothing here knows a kind. So a verdict
// cannot differ from what is done, and a kind costs no line.
//
// The API server inside passes requests on, by an APIService, with the name of the caller
// (package kubelet knows it by its certificate). Everybody inside may ask; what is answered
// is decided here, by the caller's own right to get the object, and to list Events. What a
// caller then learns of the host is where the host object lies, what of it was asked for by
// this virtual cluster, and numbers, switches and quantities. Texts that only the host wrote
// are hidden, with the names under which they stand: they may be about others. So are the
// data and the annotations of Secrets, for whoever may get them can do so inside.
package explain
