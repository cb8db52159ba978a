// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// TestWaitForToken tells what a kubelet says in the moment before a pod has its tokens
// from what it says of a tenant's own volumes.
func TestWaitForToken(t *testing.T) {
	const failed = `MountVolume.SetUp failed for volume "v" : `
	for _, test := range []struct {
		reason, message string
		want            bool
	}{
		{"FailedMount", failed + "references non-existent secret key: token-c2a91b75655d", true},
		{"FailedMount", failed + "references non-existent secret key: token", false},
		{"FailedMount", failed + "references non-existent secret key: token-c2a91b75655d-old", false},
		{"FailedMount", failed + "references non-existent secret key: certificate-c2a91b75655d0011-key", false},
		{"FailedMount", failed + `secret "login" not found`, false},
		{"Failed", "references non-existent secret key: token-c2a91b75655d", false},
	} {
		if got := waitsForToken(&corev1.Event{Reason: test.reason, Message: test.message}); got != test.want {
			t.Errorf("%s: %s: got %t, want %t", test.reason, test.message, got, test.want)
		}
	}
}
