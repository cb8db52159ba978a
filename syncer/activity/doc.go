// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package activity finds out when somebody used the API server inside directly, without relay
// or gateway.
//
// The API server reports it by its audit webhook, in batches, about a second after a request.
// Its policy leaves out its own controllers, nodes, service accounts and the relay, so that it
// reports nothing while nobody does anything. This package ignores them, too: where the tenant
// has an audit log, both share one policy.
//
// Nobody else can report activity. The server listens on loopback, which only the API server
// reaches, through the syncer's door. It accepts events only with the certificate that the API
// server uses for kubelets, and not for webhooks and APIServices of a tenant. It believes
// little of an event: the syncer's clock says when something happened, and it keeps a number
// and a time for a limited number of streams. It logs no event.
package activity
