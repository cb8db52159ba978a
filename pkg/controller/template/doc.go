// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package template makes virtual clusters follow their templates, if they ask for it.
//
// garret-apiserver does the work: when this controller writes an object without changes, it
// applies the template again. The controller does so when a template has changed. When the
// server refuses the result, for example because of an immutable field, the controller reports
// that in the condition TemplateApplied and an event, and retries from time to time. It does
// the same when somebody deletes a template.
package template
