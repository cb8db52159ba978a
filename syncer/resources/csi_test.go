// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"testing"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/utils/ptr"
)

// TestDriverInside wants a driver inside to have what tenants may see, and to stay where an older API server
// dropped a field that it does not know: it would otherwise come and go for ever.
func TestDriverInside(t *testing.T) {
	host := &storagev1.CSIDriver{Spec: storagev1.CSIDriverSpec{AttachRequired: ptr.To(true), FSGroupPolicy: ptr.To(storagev1.FileFSGroupPolicy), PreventPodSchedulingIfMissing: ptr.To(false),
		TokenRequests: []storagev1.TokenRequest{{Audience: "of-the-host"}}, NodeAllocatableUpdatePeriodSeconds: ptr.To[int64](60), ServiceAccountTokenInSecrets: ptr.To(true)}}
	inside := &storagev1.CSIDriver{}
	driverInside(host, inside)
	want := storagev1.CSIDriverSpec{AttachRequired: ptr.To(true), FSGroupPolicy: ptr.To(storagev1.FileFSGroupPolicy), PreventPodSchedulingIfMissing: ptr.To(false)}
	if !equality.Semantic.DeepEqual(inside.Spec, want) {
		t.Errorf("got %+v, want %+v", inside.Spec, want)
	}
	inside.UID = "stored"
	for what, stored := range map[string]*bool{"as stored": ptr.To(false), "by an older API server": nil} {
		inside.Spec.PreventPodSchedulingIfMissing = stored
		again := inside.DeepCopy()
		if driverInside(host, again); !equality.Semantic.DeepEqual(again, inside) {
			t.Errorf("%s: got %+v, want it unchanged", what, again.Spec)
		}
	}
	inside.Spec.AttachRequired, inside.Spec.TokenRequests = ptr.To(false), host.Spec.TokenRequests
	if driverInside(host, inside); !*inside.Spec.AttachRequired || inside.Spec.TokenRequests != nil {
		t.Errorf("got %+v, want what a tenant wrote put back", inside.Spec)
	}
}
