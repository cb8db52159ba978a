// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
	genericfeatures "k8s.io/apiserver/pkg/features"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/compatibility"
)

// parse has new options take these flags, and puts the process-wide feature
// gates back afterwards.
func parse(t *testing.T, flags ...string) error {
	t.Helper()
	t.Cleanup(func() {
		if err := newGlobals().Set(); err != nil {
			t.Error(err)
		}
	})
	options := NewOptions()
	var all pflag.FlagSet
	for _, set := range options.Flags().FlagSets {
		all.AddFlagSet(set)
	}
	if err := all.Parse(flags); err != nil {
		return err
	}
	return options.Complete()
}

// TestFeaturesGoByKubernetes would fail if the version of this binary, 0.x,
// decided which features of the API machinery are on.
func TestFeaturesGoByKubernetes(t *testing.T) {
	if err := parse(t); err != nil {
		t.Fatal(err)
	}
	if got := utilfeature.DefaultMutableFeatureGate.EmulationVersion().String(); got != kubernetesVersion {
		t.Errorf("the feature gates emulate %s, want %s", got, kubernetesVersion)
	}
	if !utilfeature.DefaultFeatureGate.Enabled(genericfeatures.WatchList) {
		t.Errorf("%s is off", genericfeatures.WatchList)
	}
}

func TestVersionFlags(t *testing.T) {
	for name, test := range map[string]struct {
		flags []string
		want  string // part of the error; empty for none
	}{
		"none":                     {nil, ""},
		"older kubernetes":         {[]string{"--emulated-version=kube=1.36", "--min-compatibility-version=kube=1.35"}, ""},
		"without a component":      {[]string{"--emulated-version=1.36", "--min-compatibility-version=1.36"}, ""},
		"feature":                  {[]string{"--feature-gates=kube:AllAlpha=false"}, ""},
		"too old":                  {[]string{"--emulated-version=kube=1.30", "--min-compatibility-version=kube=1.30"}, "is not between [1.34, 1.37"},
		"newer than built in":      {[]string{"--emulated-version=kube=1.38"}, "is not between [1.34, 1.37"},
		"compatible with newer":    {[]string{"--emulated-version=kube=1.35", "--min-compatibility-version=kube=1.36"}, "is not between [1.34, 1.35]"},
		"patch version":            {[]string{"--emulated-version=kube=1.36.1"}, "patch version not allowed"},
		"no version":               {[]string{"--emulated-version=kube=new"}, "--emulated-version"},
		"another component":        {[]string{"--emulated-version=wardle=1.2"}, "component not registered: wardle"},
		"another component's gate": {[]string{"--feature-gates=wardle:BanFlunder=true"}, "component not registered: wardle"},
		"our own, from the future": {[]string{"--emulated-version=" + ComponentName + "=99.0"}, "is not between"},
	} {
		t.Run(name, func(t *testing.T) {
			err := parse(t, test.flags...)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestEmulatedVersionReachesTheFeatures(t *testing.T) {
	if err := parse(t, "--emulated-version=kube=1.35", "--min-compatibility-version=kube=1.34"); err != nil {
		t.Fatal(err)
	}
	if got := utilfeature.DefaultMutableFeatureGate.EmulationVersion().String(); got != "1.35" {
		t.Errorf("the feature gates emulate %s, want 1.35", got)
	}
	if got := NewOptions().Globals.EffectiveVersionFor(compatibility.DefaultKubeComponent).EmulationVersion().String(); got != kubernetesVersion {
		t.Errorf("other options emulate %s, want %s: there is no state of the package", got, kubernetesVersion)
	}
}
