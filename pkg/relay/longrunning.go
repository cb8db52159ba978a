// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"net/http"
	"net/url"

	"k8s.io/apimachinery/pkg/util/sets"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/server/filters"
)

// LongRunning adds to a server's check for long-running requests what it
// cannot see: whether a relayed request is one, judged by its path inside. All
// others keep the server's deadline and its place in priority and fairness. The
// host's verb does not tell, a relayed watch is a get.
func LongRunning(next apirequest.LongRunningRequestCheck) apirequest.LongRunningRequestCheck {
	inside := newJudge()
	return func(req *http.Request, info *apirequest.RequestInfo) bool {
		entrance, ok := entranceOf(req.Context(), info)
		if !ok {
			return next != nil && next(req, info)
		}
		if wantsUpgrade(req.Header) {
			return true
		}
		path, err := innerPath(req.URL, entrance.Prefix)
		if err != nil {
			return false
		}
		_, long := inside.kind(req.Method, &url.URL{Path: path.Path, RawQuery: innerQuery(req)})
		return long
	}
}

// judge tells what the API server inside makes of a request. It is made once,
// since a handler chain asks several times about each request.
type judge struct {
	infos       *apirequest.RequestInfoFactory
	longRunning apirequest.LongRunningRequestCheck
}

func newJudge() *judge {
	return &judge{
		infos: &apirequest.RequestInfoFactory{
			APIPrefixes:          sets.NewString("api", "apis"),
			GrouplessAPIPrefixes: sets.NewString("api"),
		},
		longRunning: filters.BasicLongRunningRequestCheck(
			sets.NewString("watch", "proxy"),
			sets.NewString("attach", "exec", "proxy", "log", "portforward"),
		),
	}
}

// kind is the verb of the request inside, and whether it is long-running there.
func (j *judge) kind(method string, target *url.URL) (verb string, long bool) {
	inner := &http.Request{Method: method, URL: target}
	info, err := j.infos.NewRequestInfo(inner)
	if err != nil {
		return verbOf(method), false
	}
	return info.Verb, j.longRunning(inner, info)
}

// infoInside is what the API server inside makes of a request.
func infoInside(inner *http.Request) (*apirequest.RequestInfo, error) {
	return newJudge().infos.NewRequestInfo(inner)
}

// isProxied tells whether the API server inside passes a request for this path
// on to a pod, service or node instead of answering itself.
func isProxied(path string) bool {
	info, err := infoInside(&http.Request{Method: http.MethodGet, URL: &url.URL{Path: path}})
	return err == nil && info.IsResourceRequest && info.Subresource == "proxy"
}
