// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package strategy has what the strategies of all kinds have in common.
package strategy

import (
	"context"

	"k8s.io/apimachinery/pkg/api/operation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/names"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

// Base is the part of a strategy that is the same for every kind. A kind embeds
// it and overrides what is otherwise.
type Base struct {
	// DeclarativeValidation runs the rules that the types declare, after those written by hand.
	rest.DeclarativeValidation
	names.NameGenerator
}

var _ rest.DeclarativeValidationStrategy = Base{}

// New returns what is common to the kinds of a scheme.
func New(scheme *runtime.Scheme) Base {
	return Base{DeclarativeValidation: rest.DeclarativeValidation{Scheme: scheme}, NameGenerator: names.SimpleNameGenerator}
}

// AllowCreateOnUpdate is off: a PUT to a name that is gone should say so.
func (Base) AllowCreateOnUpdate(context.Context) bool { return false }

// AllowUnconditionalUpdate is on: who names no resourceVersion overwrites.
func (Base) AllowUnconditionalUpdate(context.Context) bool { return true }

// Canonicalize has nothing to do.
func (Base) Canonicalize(runtime.Object) {}

// WarningsOnCreate are none.
func (Base) WarningsOnCreate(context.Context, runtime.Object) []string { return nil }

// WarningsOnUpdate are none.
func (Base) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string { return nil }

// ValidateDeclaratively adds the errors of the rules that the types declare.
//
// Metadata and conditions are opaque to our rules, and judged by functions of the
// library, which takes their errors for such as its own rules find too. It would
// log each as a fault and advise to switch a feature gate off.
func (b Base) ValidateDeclaratively(ctx context.Context, obj, old runtime.Object, errs field.ErrorList,
	operation operation.Type, config rest.DeclarativeValidationConfig) field.ErrorList {
	for _, err := range errs {
		err.CoveredByDeclarative = false
	}
	return b.DeclarativeValidation.ValidateDeclaratively(ctx, obj, old, errs, operation, config)
}

// ResetFields tell server-side apply which fields a path does not write.
func ResetFields(paths ...fieldpath.Path) map[fieldpath.APIVersion]*fieldpath.Set {
	return map[fieldpath.APIVersion]*fieldpath.Set{
		fieldpath.APIVersion(v1.SchemeGroupVersion.String()): fieldpath.NewSet(paths...),
	}
}

// StatusResetFields are those of the path of a status, and further ones: all
// that metav1.ResetObjectMetaForStatus resets, and the spec.
func StatusResetFields(further ...fieldpath.Path) map[fieldpath.APIVersion]*fieldpath.Set {
	return ResetFields(append(further,
		fieldpath.MakePathOrDie("spec"),
		fieldpath.MakePathOrDie("metadata", "labels"),
		fieldpath.MakePathOrDie("metadata", "annotations"),
		fieldpath.MakePathOrDie("metadata", "finalizers"),
		fieldpath.MakePathOrDie("metadata", "ownerReferences"),
		fieldpath.MakePathOrDie("metadata", "deletionTimestamp"),
		fieldpath.MakePathOrDie("metadata", "generation"),
	)...)
}
