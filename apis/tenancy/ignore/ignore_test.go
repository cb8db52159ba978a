// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package ignore

import (
	"testing"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

func TestRules(t *testing.T) {
	request := Use{User: "alice", Groups: []string{"dev", "system:authenticated"}, UserAgent: "prometheus/3.1", Verb: "get", Path: "/metrics"}
	for name, test := range map[string]struct {
		rule v1.IgnoredRequests
		use  Use
		want bool
	}{
		"no list means nothing":            {v1.IgnoredRequests{}, request, false},
		"the user":                         {v1.IgnoredRequests{Users: []string{"bob", "alice"}}, request, true},
		"part of the user's name":          {v1.IgnoredRequests{Users: []string{"ali"}}, request, false},
		"one group of several":             {v1.IgnoredRequests{Groups: []string{"dev"}}, request, true},
		"no group":                         {v1.IgnoredRequests{Groups: []string{"ops"}}, request, false},
		"the beginning of the user agent":  {v1.IgnoredRequests{UserAgents: []string{"prometheus/"}}, request, true},
		"the middle of the user agent":     {v1.IgnoredRequests{UserAgents: []string{"metheus"}}, request, false},
		"an empty user agent in the rule":  {v1.IgnoredRequests{UserAgents: []string{""}}, request, false},
		"the verb":                         {v1.IgnoredRequests{Verbs: []string{"list", "get"}}, request, true},
		"the path":                         {v1.IgnoredRequests{Paths: []string{"/metrics"}}, request, true},
		"a path below":                     {v1.IgnoredRequests{Paths: []string{"/metrics"}}, Use{Path: "/metrics/cadvisor"}, false},
		"a path spelled with two slashes":  {v1.IgnoredRequests{Paths: []string{"/metrics"}}, Use{Path: "//metrics"}, false},
		"a path with a slash at its end":   {v1.IgnoredRequests{Paths: []string{"/metrics"}}, Use{Path: "/metrics/"}, false},
		"the beginning of a path":          {v1.IgnoredRequests{Paths: []string{"/apis/metrics.k8s.io/*"}}, Use{Path: "/apis/metrics.k8s.io/v1beta1/nodes"}, true},
		"another group's path":             {v1.IgnoredRequests{Paths: []string{"/apis/metrics.k8s.io/*"}}, Use{Path: "/apis/metrics.k8s.io.example/v1"}, false},
		"all lists":                        {v1.IgnoredRequests{Users: []string{"alice"}, Verbs: []string{"get"}, Paths: []string{"/met*"}}, request, true},
		"all lists but one":                {v1.IgnoredRequests{Users: []string{"alice"}, Verbs: []string{"list"}, Paths: []string{"/met*"}}, request, false},
		"a user of whom nothing is known":  {v1.IgnoredRequests{Users: []string{"alice"}}, Use{}, false},
		"an empty user is named by nobody": {v1.IgnoredRequests{UserAgents: []string{"prometheus/"}}, Use{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			rules := []v1.IgnoredRequests{{Users: []string{"somebody else"}}, test.rule}
			if got := Any(rules, test.use); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}
