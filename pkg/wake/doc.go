// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package wake makes requests to a sleeping virtual cluster wait until it can serve them.
//
// The first request of each sleep writes status.wakeRequest, and garret-controller acts on it.
// All requests that arrive meanwhile wait together: one vigil follows the object in the watch
// cache, and checks itself whether the API server inside answers. So nobody waits for reports
// that come every few seconds.
//
// A waiting caller is already authorised, and occupies memory and a connection. So there are
// limits on the requests to one virtual cluster and to all, and each waits for at most two
// minutes. No request wakes a virtual cluster while spec.paused is true.
package wake
