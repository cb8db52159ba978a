// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

const testPrefix = "/apis/tenancy.garret.dev/v1/namespaces/team/virtualclusters/demo/proxy"

func TestInnerPath(t *testing.T) {
	for _, tc := range []struct {
		name string
		path string
		want string
		err  error
	}{
		{name: "a bare prefix is the root", path: testPrefix, want: "/"},
		{name: "the root", path: testPrefix + "/", want: "/"},
		{name: "a path", path: testPrefix + "/api/v1/pods", want: "/api/v1/pods"},
		{name: "a trailing slash stays", path: testPrefix + "/healthz/", want: "/healthz/"},
		{name: "encoding stays", path: testPrefix + "/api/v1/namespaces/a/services/x:80/proxy/b%20c%3f%C3%A9", want: "/api/v1/namespaces/a/services/x:80/proxy/b%20c%3f%C3%A9"},
		{name: "what is encoded twice is decoded by nobody here", path: testPrefix + "/a/%252e%252e/b%252fc", want: "/a/%252e%252e/b%252fc"},
		{name: "empty segments are for the server inside", path: testPrefix + "//api", want: "//api"},
		{name: "names with dots are names", path: testPrefix + "/apis/apps.example.com/v1/..x/...", want: "/apis/apps.example.com/v1/..x/..."},
		{name: "a way out", path: testPrefix + "/../kubeconfig", err: errPathDots},
		{name: "a way out at the end", path: testPrefix + "/api/..", err: errPathDots},
		{name: "a way out, encoded", path: testPrefix + "/%2e%2e/kubeconfig", err: errPathDots},
		{name: "a way out, half encoded", path: testPrefix + "/.%2E/kubeconfig", err: errPathDots},
		{name: "a dot", path: testPrefix + "/api/./v1", err: errPathDots},
		{name: "an encoded slash", path: testPrefix + "/api%2Fv1", err: errPathSlash},
		{name: "an encoded slash in small letters", path: testPrefix + "/..%2f..", err: errPathSlash},
		{name: "an encoded back slash", path: testPrefix + "/..%5C..", err: errPathSlash},
		{name: "a line break", path: testPrefix + "/a%0d%0aX-Remote-User:%20root", err: errPathControl},
		{name: "a zero", path: testPrefix + "/a%00", err: errPathControl},
		{name: "an overlong slash", path: testPrefix + "/a%c0%afb", err: errPathUTF8},
		{name: "an overlong zero", path: testPrefix + "/%c0%80", err: errPathUTF8},
		{name: "a control character of two bytes", path: testPrefix + "/%c2%85", err: errPathControl},
		{name: "a way out behind a parameter", path: testPrefix + "/api/..;a=b/x", err: errPathDots},
		{name: "a way out behind an encoded parameter", path: testPrefix + "/..%3B/x", err: errPathDots},
		{name: "a parameter behind a name", path: testPrefix + "/api/a..;b", want: "/api/a..;b"},
		{name: "another cluster", path: "/apis/tenancy.garret.dev/v1/namespaces/team/virtualclusters/other/proxy/api", err: errPathPrefix},
		{name: "another subresource", path: testPrefix + "x/api", err: errPathPrefix},
		{name: "the prefix in another spelling", path: strings.Replace(testPrefix, "demo", "%64emo", 1) + "/api", err: errPathPrefix},
		{name: "the prefix with another slash", path: strings.Replace(testPrefix, "/proxy", "//proxy", 1) + "/api", err: errPathPrefix},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u, err := url.ParseRequestURI(tc.path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := innerPath(u, testPrefix)
			if !errors.Is(err, tc.err) {
				t.Fatalf("got error %v, want %v", err, tc.err)
			}
			if err == nil && got.EscapedPath() != tc.want {
				t.Errorf("got %s, want %s", got.EscapedPath(), tc.want)
			}
		})
	}
}
