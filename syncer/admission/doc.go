// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package admission gives Services inside the address that the host allots, and refuses
// Nodes whose kubelet would be where none of theirs can be.
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
//   - What the host refuses is refused inside, with the host's reason: a Service
//     whose address the host did not allot would lead somewhere else.
//   - While the syncer is away no Service can be created (failurePolicy Fail).
//     Services without an address of their own, headless ones and ExternalNames, pass untouched.
package admission
