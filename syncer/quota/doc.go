// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package quota measures what an object takes of a quota, by the names that a
// ResourceQuota has for it. The rules are those of Kubernetes' own evaluators,
// which lie where nobody can import them.
package quota
