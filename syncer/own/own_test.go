// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package own

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/syncer/translate"
)

func TestObserve(t *testing.T) {
	object := func(uid types.UID, generation int64) any {
		return &tenancyv1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{UID: uid, Generation: generation}}
	}
	var seen []int64
	cluster := New(nil, translate.Cluster{UID: "mine"})
	cluster.Observe(func(vc *tenancyv1.VirtualCluster) { seen = append(seen, vc.Generation) })
	for _, watched := range [][]any{
		nil,                  // nothing there yet
		{object("other", 1)}, // another of the same name
		{object("mine", 2)},
		nil,                  // gone
		{object("other", 3)}, // created again by somebody
		{object("mine", 1)},  // an older one, from a backup
	} {
		cluster.observe(watched)
	}
	if want := []int64{2, 1}; !slices.Equal(seen, want) {
		t.Errorf("generations: got %v, want %v", seen, want)
	}
}
