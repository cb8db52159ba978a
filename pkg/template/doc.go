// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package template turns VirtualClusterTemplates into the specs of virtual clusters.
//
// It knows no storage and no request: Resolve makes of a template and the values
// of its parameters a resolution, which is what status.template records, and Apply
// merges a resolution into a spec. Validate judges a template before anybody uses it.
//
// A resolution consists of two parts of a spec. Fields of the first, the defaults,
// are for a virtual cluster that does not set them itself; fields of the second,
// the forced ones, hold whatever it sets. Objects are merged field by field, lists
// and single values as a whole. A forced field that is null or an empty list must
// stay unset.
//
// The values of parameters come from people who may make virtual clusters and no
// more. They end up in single values only, never in the name of a field, and the
// result is decoded strictly, so that a value cannot add a field.
package template
