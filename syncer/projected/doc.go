// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package projected makes what a kubelet projects into pods beside tokens: trust
// bundles, and certificates of the pod.
//
// The bundles are those of the virtual cluster, and the certificates are requested
// there, with the names and UIDs that pod, account and node have inside. So the host
// learns of no identity, and its own signers are asked for nothing. What comes of it lies
// in the Secret of the pod on the host, beside its tokens, whose keeper this package serves.
//
//   - A private key is made here, and stands nowhere but in that Secret: no request, Event,
//     annotation or log holds it. One that waits for its certificate is in memory; a syncer
//     that is restarted makes another, as a kubelet does.
//   - What is missing keeps the pod from starting, and an Event on the pod says what. What the
//     pod has mounted already stays, should it go missing later.
//   - A certificate is requested again when the time comes that its signer named. One that
//     is denied or fails is final for the pod.
//   - The API server inside has to serve certificates.k8s.io/v1, as it does from 1.37 on.
package projected
