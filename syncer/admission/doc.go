// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package admission gives Services inside the address that the host allocates, refuses Nodes
// whose kubelet cannot be at the given address, and warns about pods that will not run.
//
// A ClusterIP works because the host's nodes translate it, so the host has to
// choose it; and it cannot be changed once the Service inside is stored. Hence a
// mutating webhook, which the syncer serves to the virtual API server on loopback,
// creates the Service on the host first and writes the address that it got into the
// one that is about to be stored inside.
//
//   - If something else refuses the Service, the host keeps one without the UID of a virtual
//     object; the engine deletes it after half a minute.
//   - A dry run asks the host for a dry run, and has no effect there either.
//   - It refuses a Service that isolation keeps from the host, and names the field.
//   - It refuses what the host refuses, with the host's reason: a Service whose address the host
//     did not allocate would lead somewhere else.
//   - While the syncer does not run, nobody can create a Service (failurePolicy Fail). Services
//     without an address of their own, headless ones and ExternalNames, pass untouched.
//
// Whoever writes pods, or objects that create pods, gets a warning at once about what package
// isolation keeps from the host. The warning changes nothing, and nobody needs it while the
// syncer does not run (failurePolicy Ignore): the engine checks the pod before it reaches the
// host.
package admission
