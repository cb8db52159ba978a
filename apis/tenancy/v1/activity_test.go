// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package v1

import "testing"

func TestIgnoredRequests(t *testing.T) {
	request := Use{User: "alice", Groups: []string{"dev", "system:authenticated"}, UserAgent: "prometheus/3.1", Verb: "get", Path: "/metrics"}
	for name, test := range map[string]struct {
		rule IgnoredRequests
		use  Use
		want bool
	}{
		"no list means nothing":            {IgnoredRequests{}, request, false},
		"the user":                         {IgnoredRequests{Users: []string{"bob", "alice"}}, request, true},
		"part of the user's name":          {IgnoredRequests{Users: []string{"ali"}}, request, false},
		"one group of several":             {IgnoredRequests{Groups: []string{"dev"}}, request, true},
		"no group":                         {IgnoredRequests{Groups: []string{"ops"}}, request, false},
		"the beginning of the user agent":  {IgnoredRequests{UserAgents: []string{"prometheus/"}}, request, true},
		"the middle of the user agent":     {IgnoredRequests{UserAgents: []string{"metheus"}}, request, false},
		"an empty user agent in the rule":  {IgnoredRequests{UserAgents: []string{""}}, request, false},
		"the verb":                         {IgnoredRequests{Verbs: []string{"list", "get"}}, request, true},
		"the path":                         {IgnoredRequests{Paths: []string{"/metrics"}}, request, true},
		"a path below":                     {IgnoredRequests{Paths: []string{"/metrics"}}, Use{Path: "/metrics/cadvisor"}, false},
		"a path spelled with two slashes":  {IgnoredRequests{Paths: []string{"/metrics"}}, Use{Path: "//metrics"}, false},
		"a path with a slash at its end":   {IgnoredRequests{Paths: []string{"/metrics"}}, Use{Path: "/metrics/"}, false},
		"the beginning of a path":          {IgnoredRequests{Paths: []string{"/apis/metrics.k8s.io/*"}}, Use{Path: "/apis/metrics.k8s.io/v1beta1/nodes"}, true},
		"another group's path":             {IgnoredRequests{Paths: []string{"/apis/metrics.k8s.io/*"}}, Use{Path: "/apis/metrics.k8s.io.example/v1"}, false},
		"all lists":                        {IgnoredRequests{Users: []string{"alice"}, Verbs: []string{"get"}, Paths: []string{"/met*"}}, request, true},
		"all lists but one":                {IgnoredRequests{Users: []string{"alice"}, Verbs: []string{"list"}, Paths: []string{"/met*"}}, request, false},
		"a user of whom nothing is known":  {IgnoredRequests{Users: []string{"alice"}}, Use{}, false},
		"an empty user is named by nobody": {IgnoredRequests{UserAgents: []string{"prometheus/"}}, Use{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			spec := SleepSpec{Ignore: []IgnoredRequests{{Users: []string{"somebody else"}}, test.rule}}
			if got := spec.Ignores(test.use); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}
