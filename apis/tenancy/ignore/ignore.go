// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ignore decides which requests match spec.sleep.ignore: they do not count as activity,
// and wake nothing. garret-apiserver and the syncer use it.
package ignore

import (
	"slices"
	"strings"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

// Use is what rules about requests go by.
type Use struct {
	// User and Groups are those of the host.
	User   string
	Groups []string
	// UserAgent is what the client calls itself.
	UserAgent string
	// Verb is that of the API inside, Path the path there, decoded.
	Verb, Path string
}

// Any says whether one of the rules means the request.
func Any(rules []v1.IgnoredRequests, use Use) bool {
	for i := range rules {
		if Means(&rules[i], use) {
			return true
		}
	}
	return false
}

// Means says whether every list that is set holds what the request has. Rules without a
// list mean no request.
func Means(r *v1.IgnoredRequests, use Use) bool {
	if len(r.Users)+len(r.Groups)+len(r.UserAgents)+len(r.Verbs)+len(r.Paths) == 0 {
		return false
	}
	return (len(r.Users) == 0 || slices.Contains(r.Users, use.User)) &&
		(len(r.Groups) == 0 || slices.ContainsFunc(use.Groups, func(group string) bool { return slices.Contains(r.Groups, group) })) &&
		(len(r.UserAgents) == 0 || slices.ContainsFunc(r.UserAgents, func(begin string) bool { return begin != "" && strings.HasPrefix(use.UserAgent, begin) })) &&
		(len(r.Verbs) == 0 || slices.Contains(r.Verbs, use.Verb)) &&
		(len(r.Paths) == 0 || slices.ContainsFunc(r.Paths, func(path string) bool { return meansPath(path, use.Path) }))
}

func meansPath(rule, path string) bool {
	if begin, open := strings.CutSuffix(rule, "*"); open {
		return strings.HasPrefix(path, begin)
	}
	return rule == path
}
