// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package projected creates what a kubelet projects into pods besides tokens: trust bundles,
// and certificates of the pod.
//
// The bundles come from the virtual cluster. The package requests the certificates there, with
// the names and UIDs that pod, account and node have inside. So the host learns of no identity,
// and its own signers sign nothing. The results are in the Secret of the pod on the host,
// beside its tokens; this package serves the keeper of that Secret.
//
//   - It creates the private key, and only that Secret contains it: no request, Event,
//     annotation or log does. A key that waits for its certificate is in memory; a restarted
//     syncer creates another, as a kubelet does.
//   - If something is missing, the pod does not start, and an Event on the pod says what. What
//     the pod has mounted stays, even if it goes missing later.
//   - It requests a certificate again at the time that its signer named. A denied or failed
//     request is final for the pod.
//   - The API server inside has to serve certificates.k8s.io/v1, as it does from 1.37 on.
package projected
