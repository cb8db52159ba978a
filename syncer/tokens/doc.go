// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tokens gives pods the tokens of their ServiceAccounts inside.
//
// A pod's tokens are minted by the virtual API server, as those that a kubelet
// asks for: bound to the pod by name and UID, so that they end with it, for the
// audience and the life that the projection names. They are kept in a Secret on the
// host, one for each pod, which the host pod mounts in place of the projection;
// the host's kubelet carries every change of it into the pod.
//
//   - A token never stands in a pod's environment, an annotation, an Event or a log.
//     The Secret carries only the time of its next renewal, so a restarted syncer goes on where the last stopped.
//   - They are minted once the pod has a node, which the API server inside writes into
//     them. The Secret is there before, and empty: a pod for which there is no room in a quota
//     does not get as far as a node. The host's kubelet waits for what the Secret lacks.
//   - Tokens are renewed when four fifths of their life are over. The API server stretches
//     a life of 3607 seconds, the one it writes into every pod, to a year; an hour is asked for instead.
//   - The Secret is owned by the host pod, and removed when the virtual pod is gone,
//     whichever comes first.
package tokens
