// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package admission gives Services inside the address that the host allots, refuses Nodes
// whose kubelet would be where none of theirs can be, and warns of pods that will not run.
//
// A ClusterIP works because the host's nodes translate it, so the host has to
// choose it; and it cannot be changed once the Service inside is stored. Hence a
// mutating webhook, which the syncer serves to the virtual API server on loopback,
// creates the Service on the host first and writes the address that it got into the
// one that is about to be stored inside.
//
//   - A Service that is then not stored, because something else refuses it, leaves
//     one on the host without the UID of a virtual object; the engine removes it after half a minute.
//   - A dry run asks the host for a dry run, and has no effect there either.
//   - A Service that isolation keeps from the host is refused, with the field.
//   - What the host refuses is refused inside, with the host's reason: a Service
//     whose address the host did not allot would lead somewhere else.
//   - While the syncer is away no Service can be created (failurePolicy Fail).
//     Services without an address of their own, headless ones and ExternalNames, pass untouched.
//
// People who write pods, or what makes pods, are warned at once of what package
// isolation keeps from the host. That changes nothing, and is missed by nobody while the
// syncer is away (failurePolicy Ignore): the engine judges the pod that goes to the host.
package admission
