// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package activity finds out when somebody used the virtual cluster straight at its API
// server, past relay and gateway.
//
// The API server tells of it by its audit webhook, in batches, about a second after a request.
// Its policy leaves out its own controllers, nodes, service accounts and the relay, so that it
// says nothing while nobody does anything. They are left out here once more: where the tenant
// has an audit log, both share one policy.
//
// Nobody else can tell of activity. The server listens on loopback, where only the API server
// comes through the syncer's door, and takes events only by the certificate with which that
// calls kubelets. Webhooks and APIServices of a tenant are called without it. What is believed
// of an event is little: when something happened is by the syncer's clock, and what is kept of
// a stream is a number and a time, for so many streams and no more. No event is logged.
package activity
