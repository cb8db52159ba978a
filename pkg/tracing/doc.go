// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tracing sends spans of Garret's programs to an OpenTelemetry
// collector, over OTLP, as a file of the same form as kube-apiserver's says.
//
// The libraries that make most spans put the whole address of a request into
// them. Its query is taken out before a span leaves the process: the arguments
// of an exec stand there, and with them passwords that people type.
package tracing
