// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package activator wakes virtual clusters that sleep when somebody connects to one of their
// Services on the host.
//
// While a virtual cluster sleeps, its Services keep their addresses, and have no endpoints. With
// spec.sleep.wakeOnTraffic, the activator opens a port in its own pod for every TCP port of
// these Services, and names it in an EndpointSlice of the Service. Each connection that arrives
// asks for the wake, and waits until a pod of the Service is ready. Then the activator forwards
// it there. Once the Service has pods again, the activator deletes its slice.
//
// It runs in garret-controller, in the one replica that leads. That replica already has every
// right it takes, and decides about wakes anyway. A pod for each virtual cluster would cost the
// quota that sleep frees.
//
// Nobody who connects is known, so a connection can do little. It wakes the virtual cluster
// whose Service it reached, and no other. It leads to ready pods of that Service only: the
// activator reads their addresses from the host for each connection, and takes none from a
// tenant. There are limits on ports and on connections, for each virtual cluster and for all,
// and on how long each waits. The pods see the activator as the source of a connection, so a
// Service has no activator where a NetworkPolicy might restrict who reaches its pods.
package activator
