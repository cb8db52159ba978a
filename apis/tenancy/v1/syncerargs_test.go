// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// TestEveryKindHasAField wants each kind of the catalogue to have a field in the spec.
func TestEveryKindHasAField(t *testing.T) {
	var got []string
	for _, choice := range (&SyncerSpec{}).Choices() {
		got = append(got, choice.Resource)
	}
	slices.Sort(got)
	if want := CataloguedResources(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSyncerArgs(t *testing.T) {
	spec := SyncerSpec{ExtraArgs: []string{"--v=2"}}
	if got := spec.Args(); !slices.Equal(got, spec.ExtraArgs) {
		t.Errorf("got %v, want nothing but %v", got, spec.ExtraArgs)
	}
	spec.ToHost.Ingresses.Enabled, spec.ToHost.Secrets.Enabled = ptr.To(false), ptr.To(false)
	spec.ToHost.PodDisruptionBudgets.Enabled, spec.FromHost.Nodes.Enabled = ptr.To(true), ptr.To(true)
	spec.FromHost.StorageClasses = ClassSelection{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "fast"},
		MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "zone", Operator: metav1.LabelSelectorOpIn, Values: []string{"a", "b"}}}}}
	want := []string{"--disable-sync-resources=ingresses,secrets", "--select-from-host=storageclasses:tier=fast,zone in (a,b)",
		"--sync-nodes-from-host", "--sync-resources=poddisruptionbudgets", "--v=2"}
	got := spec.Args()
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	selection, err := SelectByArgs(got)
	if err != nil || selection[ResourceIngresses] || selection[ResourceSecrets] || !selection[ResourceBudgets] || !selection[ResourceStorageClasses] {
		t.Errorf("got %v and %v, want what the fields say", selection, err)
	}
}
