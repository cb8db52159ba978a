// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package guarded runs kine so that what it answers is true.
//
// kine, as it is, hides the failure of a write behind what it reads afterwards:
// a create that the disk had no room for is reported as done, an update or a
// delete as a conflict, which the API server answers by trying for as long as
// the request lives. It takes a result that was cut short for a whole one in a
// list, and in what a watch starts from; objects would seem deleted that are
// there. And it may end the process in the middle of a request. Behind this
// package a write counts when it can be read back, a conflict when there is one,
// a result when its end was reached, and a request that kine gives up is one
// failed request.
//
// It is used in this order: ForwardExit once, when the logs are set up, all of
// which pass Loggable; Open; Guard; Listen and NewServer. Where a database lies, what its file is called,
// who is told of a failure and in which words, is for those who use it:
// garret-apiserver by pkg/storage, and the control plane of virtual clusters,
// which is a Go module of its own. So nothing is imported here but kine, its logger and gRPC.
package guarded
