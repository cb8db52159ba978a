// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tokens gives pods the tokens of their ServiceAccounts inside.
//
// The virtual API server mints a pod's tokens, like those that a kubelet asks for: bound to the
// pod by name and UID, so that they end with it, for the audience and the life in the
// projection. Each pod has a Secret on the host for them, which the host pod mounts instead of
// the projection; the host's kubelet copies every change of it into the pod.
//
//   - No pod's environment, annotation, Event or log ever contains a token. The Secret records
//     the time of its next renewal, so a restarted syncer continues where the last one stopped.
//   - The syncer requests them once the pod has a node, which the API server inside writes into
//     them. Before that, the Secret exists, but is empty: a pod that exceeds a quota never gets
//     a node. The host's kubelet waits for what the Secret lacks.
//   - The syncer renews tokens after four fifths of their life. The API server extends a life of
//     3607 seconds, which it writes into every pod, to a year; so the syncer requests an hour
//     instead.
//   - The host pod owns the Secret. It is deleted when the host pod or the virtual pod is gone,
//     whichever comes first.
package tokens
