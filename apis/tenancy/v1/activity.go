// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import (
	"slices"
	"strings"
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

// Ignores says whether the request is no activity.
func (s *SleepSpec) Ignores(use Use) bool {
	for i := range s.Ignore {
		if s.Ignore[i].Means(use) {
			return true
		}
	}
	return false
}

// Means says whether every list that is set holds what the request has. Rules without a
// list mean no request.
func (r *IgnoredRequests) Means(use Use) bool {
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
