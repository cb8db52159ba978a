// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package template brings virtual clusters that ask for it into step with their
// templates.
//
// The work is done by garret-apiserver, which applies the template to every write
// of a virtual cluster's spec. This controller only makes a write, which says
// nothing, when a template has changed. What the server refuses, such as a change
// of a field that cannot be changed, is told in the condition TemplateApplied and
// by an event, and tried again now and then.
package template
