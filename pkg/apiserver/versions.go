// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"errors"
	"fmt"

	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/version"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/compatibility"
	"k8s.io/component-base/featuregate"
	baseversion "k8s.io/component-base/version"
)

const (
	// ComponentName is what our own versions and feature gates are called, as in --emulated-version=garret=0.1.
	ComponentName = "garret"

	// kubernetesVersion is the Kubernetes whose API machinery is built in. Our own
	// version cannot stand for it: features and CEL libraries go by this one.
	kubernetesVersion = "1.37"
	// kubernetesFloor is the oldest behaviour that can be asked for. Upstream
	// supports three versions back.
	kubernetesFloor = "1.34"
)

// newGlobals has the versions that the server emulates, and the feature gates
// that follow from them, in a registry of its own. That of the library takes
// the version of this binary for that of Kubernetes, which would put every
// feature of the API machinery off.
func newGlobals() compatibility.ComponentGlobalsRegistry {
	globals := compatibility.NewComponentGlobalsRegistry()
	utilruntime.Must(globals.Register(compatibility.DefaultKubeComponent,
		compatibility.NewEffectiveVersionFromString(kubernetesVersion, kubernetesFloor, kubernetesFloor),
		utilfeature.DefaultMutableFeatureGate))
	own := ownVersion()
	utilruntime.Must(globals.Register(ComponentName,
		compatibility.NewEffectiveVersion(own, false, own.SubtractMinor(1), own.SubtractMinor(1)),
		featuregate.NewVersionedFeatureGate(own)))
	return globals
}

// ownVersion is that of this binary; one built without a version counts as 0.0.
func ownVersion() *version.Version {
	parsed, err := version.Parse(baseversion.Get().GitVersion)
	if err != nil {
		return version.MajorMinor(0, 0)
	}
	return version.MajorMinor(parsed.Major(), parsed.Minor())
}

// applyVersions puts the flags about versions and feature gates into effect.
func (o *Options) applyVersions() error {
	if err := o.Globals.Set(); err != nil {
		return fmt.Errorf("--emulated-version, --min-compatibility-version, --feature-gates: %w", err)
	}
	if err := errors.Join(o.Globals.Validate()...); err != nil {
		return fmt.Errorf("--emulated-version, --min-compatibility-version: %w", err)
	}
	o.Globals.AddMetrics()
	utilfeature.DefaultMutableFeatureGate.AddMetrics()
	return nil
}
