// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package vcluster

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	tenancyv1 "garret.dev/garret/apis/tenancy/v1"
)

// TestPausePatch ends by its number a sleep that spec.paused did not ask for.
func TestPausePatch(t *testing.T) {
	now := metav1.Now()
	awake, asleep := &tenancyv1.VirtualCluster{}, &tenancyv1.VirtualCluster{}
	asleep.UID = "u"
	asleep.Status.Sleep = &tenancyv1.SleepStatus{Number: 12, Since: &now}
	for want, test := range map[string]struct {
		object *tenancyv1.VirtualCluster
		paused bool
	}{
		`{"spec":{"paused":true}}`:  {asleep, true},
		`{"spec":{"paused":false}}`: {awake, false},
		`{"metadata":{"annotations":{"tenancy.garret.dev/wake":"12"},"uid":"u"},"spec":{"paused":false}}`: {asleep, false},
	} {
		if got, err := pausePatch(test.object, test.paused); err != nil || string(got) != want {
			t.Errorf("got %s %v, want %s", got, err, want)
		}
	}
}
