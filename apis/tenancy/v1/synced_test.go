// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/apis/tenancy/v1/syncedtest"
)

// TestIsSyncedFor judges everything that somebody may have marked, wholly or by half.
func TestIsSyncedFor(t *testing.T) {
	for _, row := range syncedtest.Table() {
		if got := tenancyv1.IsSyncedFor(&row.Object, syncedtest.ID, syncedtest.Namespace); got != row.Ours {
			t.Errorf("%s: got %t, want %t", row.What, got, row.Ours)
		}
	}
	if tenancyv1.IsSyncedFor(&metav1.ObjectMeta{Annotations: map[string]string{tenancyv1.AnnotationVirtualName: "web"}}, "", "team") {
		t.Error("an object without a label belongs to a cluster without an id")
	}
}
