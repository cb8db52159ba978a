// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tracing sends spans of Garret's programs to an OpenTelemetry collector, over OTLP.
// Its configuration file has the format of kube-apiserver's.
//
// The libraries that create most spans put the whole address of a request into them. This
// package removes the query before a span leaves the process: it can contain the arguments of
// an exec, and with them passwords that people type.
package tracing
