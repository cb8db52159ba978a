// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package virtualcluster

import (
	"context"
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"garret.dev/garret/apis/tenancy"
)

// TestKindsOfTheHost wants a write refused that switches a kind on that the host is without, and no other write.
func TestKindsOfTheHost(t *testing.T) {
	on := true
	devices := func(spec *tenancy.VirtualClusterSpec) {
		spec.Syncer.FromHost.DeviceClasses.Enabled, spec.Syncer.ToHost.ResourceClaims.Enabled = &on, &on
	}
	attributes := func(spec *tenancy.VirtualClusterSpec) {
		spec.Syncer.ExtraArgs = []string{"--sync-resources=volumeattributesclasses"}
	}
	nothing := func(*tenancy.VirtualClusterSpec) {}
	const remedy = "have an administrator of the host upgrade it or switch the kind on there, or switch the field off"
	for name, test := range map[string]struct {
		old, now func(*tenancy.VirtualClusterSpec)
		served   string
		fails    bool
		want     []string
		asked    int
	}{
		"what is on by default":       {old: nothing, now: nothing},
		"devices":                     {old: nothing, now: devices, want: []string{"spec.syncer.fromHost.deviceClasses.enabled: Forbidden: the host does not serve deviceclasses of resource.k8s.io/v1", "spec.syncer.toHost.resourceClaims.enabled: Forbidden: ", remedy}, asked: 2},
		"devices, half of them":       {old: nothing, now: devices, served: "deviceclasses", want: []string{"spec.syncer.toHost.resourceClaims.enabled: Forbidden: "}, asked: 2},
		"a flag":                      {old: nothing, now: attributes, want: []string{"spec.syncer.fromHost.volumeAttributesClasses.enabled: Forbidden: the host does not serve volumeattributesclasses of storage.k8s.io/v1"}, asked: 1},
		"a flag for what is there":    {old: nothing, now: attributes, served: "volumeattributesclasses", asked: 1},
		"on before":                   {old: devices, now: devices},
		"switched off":                {old: devices, now: nothing},
		"a host that does not answer": {old: nothing, now: attributes, fails: true, want: []string{"kinds of the host: no answer"}, asked: 1},
	} {
		t.Run(name, func(t *testing.T) {
			vc, old, asked := &tenancy.VirtualCluster{}, &tenancy.VirtualClusterSpec{}, 0
			test.now(&vc.Spec)
			test.old(old)
			err := Serves(func(_ context.Context, at schema.GroupVersionResource) (bool, error) {
				asked++
				if test.fails {
					return false, errors.New("no answer")
				}
				return at.Resource == test.served, nil
			}).suit(t.Context(), vc, old)
			if (err != nil) != (len(test.want) > 0) || asked != test.asked || err != nil && apierrors.IsInvalid(err) == test.fails {
				t.Fatalf("got %v after %d questions, want %q after %d", err, asked, test.want, test.asked)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
		})
	}
}
