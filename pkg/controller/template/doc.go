// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package template brings virtual clusters that ask for it into step with their
// templates.
//
// The work is done by garret-apiserver, which takes a write that says nothing for
// the wish to apply the template again, when it comes from this controller. It makes
// one when a template has changed. What the server refuses, such as a change of a
// field that cannot be changed, is reported by the condition TemplateApplied and by an
// event, and tried again now and then; so is the end of a template.
package template
