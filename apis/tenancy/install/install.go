// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package install registers every version of the group tenancy.garret.dev.
package install

import (
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	"garret.dev/garret/apis/tenancy"
	v1 "garret.dev/garret/apis/tenancy/v1"
)

// Install adds the group to scheme.
func Install(scheme *runtime.Scheme) {
	utilruntime.Must(tenancy.AddToScheme(scheme))
	utilruntime.Must(v1.AddToScheme(scheme))
	utilruntime.Must(scheme.SetVersionPriority(v1.SchemeGroupVersion))
}
