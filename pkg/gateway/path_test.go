// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/sets"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"

	"garret.dev/garret/pkg/relay"
)

// ask runs a request through Mark and Resolver, and returns what the host is
// asked about and where the request comes in.
func ask(t testing.TB, req *http.Request) (info *apirequest.RequestInfo, entrance relay.Entrance, marked bool) {
	t.Helper()
	chain := Resolver(&apirequest.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")})
	Mark(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		var err error
		if info, err = chain.NewRequestInfo(req); err != nil {
			t.Fatalf("%s: %v", req.URL, err)
		}
		entrance, marked = relay.EntranceFrom(req.Context())
	})).ServeHTTP(httptest.NewRecorder(), req)
	return info, entrance, marked
}

func TestWhatIsAuthorised(t *testing.T) {
	for _, tc := range []struct {
		name, method, path string
		// want is namespace and name, or empty for a path like others.
		want string
	}{
		{name: "the root", path: "/clusters/team/demo", want: "team/demo"},
		{name: "the root with a slash", path: "/clusters/team/demo/", want: "team/demo"},
		{name: "a list inside", path: "/clusters/team/demo/api/v1/pods?watch=true", want: "team/demo"},
		{name: "a create inside", method: "POST", path: "/clusters/team/demo/api/v1/namespaces", want: "team/demo"},
		{name: "a delete inside", method: "DELETE", path: "/clusters/team/demo/api/v1/namespaces/a", want: "team/demo"},
		{name: "what relay refuses is authorised all the same", path: "/clusters/team/demo/../other/api", want: "team/demo"},
		{name: "names with dots", path: "/clusters/team/de.mo/api", want: "team/de.mo"},
		{name: "no cluster", path: "/clusters/team"},
		{name: "an empty name", path: "/clusters/team/"},
		{name: "an empty namespace", path: "/clusters//demo/api"},
		{name: "a dot segment for a name", path: "/clusters/team/../api"},
		{name: "an encoded dot segment", path: "/clusters/team/%2e%2e/api"},
		{name: "an encoded name", path: "/clusters/team/%64emo/api"},
		{name: "an encoded slash", path: "/clusters/team%2fdemo/api"},
		{name: "an encoded prefix", path: "/%63lusters/team/demo/api"},
		{name: "capitals", path: "/clusters/team/Demo/api"},
		{name: "another slash before", path: "//clusters/team/demo/api"},
		{name: "another slash between", path: "/clusters//team/demo/api"},
		{name: "a semicolon", path: "/clusters/team/demo;x/api"},
		{name: "a namespace with a dot", path: "/clusters/te.am/demo/api"},
		{name: "the object itself", path: "/apis/tenancy.garret.dev/v1/namespaces/team/virtualclusters/demo"},
		{name: "a longer word", path: "/clustersx/team/demo"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.method == "" {
				tc.method = http.MethodGet
			}
			req := httptest.NewRequest(tc.method, tc.path, nil)
			info, entrance, marked := ask(t, req)
			if marked != (tc.want != "") {
				t.Fatalf("marked: got %t, want %t", marked, tc.want != "")
			}
			if !marked {
				if info.Path != req.URL.Path || (info.IsResourceRequest && !strings.HasPrefix(tc.path, "/apis/")) {
					t.Errorf("the host is asked about %+v, want the path", info)
				}
				return
			}
			if got := entrance.Namespace + "/" + entrance.Name; got != tc.want || entrance.Prefix != "/clusters/"+tc.want || !entrance.UpgradesInside || entrance.Subresource != "" {
				t.Errorf("comes in by %+v, want %s", entrance, tc.want)
			}
			if got := info.Namespace + "/" + info.Name; got != tc.want || !info.IsResourceRequest || info.Verb != "get" || info.APIPrefix != "apis" ||
				info.APIGroup != "tenancy.garret.dev" || info.APIVersion != "v1" || info.Resource != "virtualclusters" || info.Subresource != "" {
				t.Errorf("the host is asked about %+v, want get of %s", info, tc.want)
			}
		})
	}
}

// FuzzEntrance looks for a path that one reader takes for one virtual cluster
// and another for something else.
func FuzzEntrance(f *testing.F) {
	for _, seed := range []string{
		"/clusters/team/demo/api", "/clusters/team/demo", "/clusters/team/../x", "/clusters/%2e%2e/demo", "/clusters/a/b%2fc", "/clusters/a//b",
		"/clusters/a/b;c", "/clusters/a/b?c=/d", "/%63lusters/a/b", "//clusters/a/b", "/clusters/a/b/../../c/d", "/clusters/a/b\\c", "/clusters/é/b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Host != "" {
			return
		}
		entrance, ok := entranceOf(u)
		if !ok {
			return
		}
		// The reading by the decoded path, as a mux has it, is the same.
		parts := strings.SplitN(u.Path, "/", 5)
		if len(parts) < 4 || parts[0] != "" || parts[1] != "clusters" || parts[2] != entrance.Namespace || parts[3] != entrance.Name {
			t.Errorf("%q: %+v, but decoded it is %q", target, entrance, u.Path)
		}
		if !strings.HasPrefix(u.EscapedPath()+"/", entrance.Prefix+"/") {
			t.Errorf("%q: does not begin with %q", target, entrance.Prefix)
		}
		if strings.ContainsAny(entrance.Namespace+entrance.Name, "/%\\?#; ") || entrance.Name == ".." || entrance.Name == "." {
			t.Errorf("%q: %+v is no name", target, entrance)
		}
	})
}
