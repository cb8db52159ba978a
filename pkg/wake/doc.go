// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package wake has requests to a virtual cluster that sleeps wait until it can serve them.
//
// The first request of each sleep asks for the wake, as status.wakeRequest, and
// garret-controller acts on it. All that come meanwhile wait together: one vigil follows
// the object in the watch cache, and asks the API server inside itself whether it answers.
// So nobody waits for reports that come every few seconds.
//
// Who waits has been let in before, and holds memory and a connection. Both the requests
// to one virtual cluster and those to all are bounded, and each waits for two minutes at
// most. What spec.paused puts to sleep, no request wakes.
package wake
