// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package template turns VirtualClusterTemplates into the specs of virtual clusters.
//
// It knows no storage and no request. Resolve computes a resolution from a template and the
// values of its parameters; status.template records it. Apply merges a resolution into a spec.
// Validate checks a template before anybody uses it.
//
// A resolution consists of two parts of a spec. Fields of the first, the defaults, are for a
// virtual cluster that does not set them itself; fields of the second, the forced ones, hold
// whatever it sets. Apply merges objects field by field, and takes lists and single values as a
// whole. A forced field that is null or an empty list must stay unset.
//
// The values of parameters come from people who may create virtual clusters and no more. They
// only replace text in single values, never in the name of a field, and the package decodes the
// result strictly, so that a value cannot add a field.
package template
