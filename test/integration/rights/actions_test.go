// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"fmt"
	"net/http"
	"net/url"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

// right is a verb on virtualclusters or on a subresource of it.
type right struct{ verb, subresource string }

func (r right) String() string {
	if r.subresource == "" {
		return r.verb
	}
	return r.verb + " " + r.subresource
}

// action is something that somebody does. It changes nothing, or nothing that
// another test sees.
type action struct {
	name string
	// needs are the rights that it takes, all of them.
	needs []right
	// places are where it can be done, to one object, to a namespace, or both; the
	// first is where rights are granted.
	places []place
	// request is what is sent.
	request func(place) request
	// answer must be in what comes back when it is done.
	answer string
}

// request is one to the host's API server, or to the gateway.
type request struct {
	method, path string
	body         string
	header       http.Header
	gateway      bool
	// watch reads the first event only.
	watch bool
}

var (
	objects     = []place{here, otherName, otherNamespace}
	namespaces  = []place{wholeNamespace, anotherNamespace}
	collections = []place{wholeNamespace, anotherNamespace, everywhere, here, otherName, otherNamespace}
)

// actions are all that can be done with a virtual cluster.
var actions = []action{
	{"get", []right{{"get", ""}}, objects, on(http.MethodGet, "", "", ""), `"kind":"VirtualCluster"`},
	{"list", []right{{"list", ""}}, collections, listing, `"kind":"VirtualClusterList"`},
	{"watch", []right{{"watch", ""}}, collections, watching, `"type":"ADDED"`},
	{"create", []right{{"create", ""}}, namespaces, creating, `"name":"new"`},
	{"update", []right{{"update", ""}}, objects, updating, `"kind":"VirtualCluster"`},
	{"patch", []right{{"patch", ""}}, objects,
		on(http.MethodPatch, "", "dryRun=All", `{"metadata":{"labels":{"a":"b"}}}`), `"labels":{"a":"b"}`},
	{"apply what is new", []right{{"patch", ""}, {"create", ""}}, []place{newObject}, applying, `"name":"new"`},
	{"delete", []right{{"delete", ""}}, objects, on(http.MethodDelete, "", "dryRun=All", ""), `"kind"`},
	// A selector by name makes no difference here: the host heeds it for list and watch only.
	{"deletecollection", []right{{"deletecollection", ""}}, namespaces, on(http.MethodDelete, "", "dryRun=All", ""), `"kind":"VirtualClusterList"`},
	{"get status", []right{{"get", "status"}}, objects, on(http.MethodGet, "status", "", ""), `"phase":"Ready"`},
	{"patch status", []right{{"patch", "status"}}, objects,
		on(http.MethodPatch, "status", "dryRun=All", `{"status":{"phase":"Failed"}}`), `"phase":"Failed"`},
	{"create kubeconfig", []right{{"create", "kubeconfig"}}, objects,
		on(http.MethodPost, "kubeconfig", "", `{"apiVersion":"tenancy.garret.dev/v1","kind":"KubeconfigRequest"}`), `"kubeconfig":"`},
	{"get inside", []right{{"get", "proxy"}}, objects, on(http.MethodGet, "proxy/api/v1/namespaces", "", ""), `"kind":"NamespaceList"`},
	{"create inside", []right{{"create", "proxy"}}, objects, on(http.MethodPost, "proxy"+configMaps, "dryRun=All",
		`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"more"}}`), `"name":"more"`},
	{"update inside", []right{{"update", "proxy"}}, objects, on(http.MethodPut, "proxy"+configMaps+"/"+insideConfigMap, "dryRun=All",
		`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"`+insideConfigMap+`"},"data":{"a":"b"}}`), `"data":{"a":"b"}`},
	{"patch inside", []right{{"patch", "proxy"}}, objects,
		on(http.MethodPatch, "proxy"+configMaps+"/"+insideConfigMap, "dryRun=All", `{"data":{"a":"c"}}`), `"data":{"a":"c"}`},
	{"delete inside", []right{{"delete", "proxy"}}, objects, on(http.MethodDelete, "proxy"+configMaps+"/"+insideConfigMap, "dryRun=All", ""), `"Success"`},
	// A GET to the host, which takes the right to create as well.
	{"upgrade inside", []right{{"get", "proxy"}, {"create", "proxy"}}, objects, upgrading, ""},
	{"get by the gateway", []right{{"get", ""}}, objects, byGateway(http.MethodGet, "/api/v1/namespaces", ""), `"kind":"NamespaceList"`},
	// What the method does is for the RBAC inside alone.
	{"create by the gateway", []right{{"get", ""}}, objects, byGateway(http.MethodPost, configMaps+"?dryRun=All",
		`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"more"}}`), `"name":"more"`},
}

const configMaps = "/api/v1/namespaces/default/configmaps"

// newObject is not there.
var newObject = place{Namespace: here.Namespace, Name: "new"}

// on is a request to what is at the place.
func on(method, subresource, query, body string) func(place) request {
	return func(p place) request {
		path := "/apis/" + v1.GroupName + "/v1"
		if p.Namespace != "" {
			path += "/namespaces/" + p.Namespace
		}
		path += "/virtualclusters"
		if p.Name != "" {
			path += "/" + p.Name
		}
		if subresource != "" {
			path += "/" + subresource
		}
		if query != "" {
			path += "?" + query
		}
		return request{method: method, path: path, body: body}
	}
}

// selecting is a GET of a collection, where a name is a selector.
func selecting(p place, query url.Values) request {
	if p.Name != "" {
		query.Set("fieldSelector", "metadata.name="+p.Name)
	}
	return on(http.MethodGet, "", query.Encode(), "")(place{Namespace: p.Namespace})
}

func listing(p place) request { return selecting(p, url.Values{}) }

func watching(p place) request {
	r := selecting(p, url.Values{"watch": {"true"}})
	r.watch = true
	return r
}

func creating(p place) request {
	return on(http.MethodPost, "", "dryRun=All", `{"apiVersion":"tenancy.garret.dev/v1","kind":"VirtualCluster","metadata":{"name":"new"}}`)(p)
}

func updating(p place) request {
	object := fmt.Sprintf(`{"apiVersion":"tenancy.garret.dev/v1","kind":"VirtualCluster","metadata":{"name":%q}}`, p.Name)
	return on(http.MethodPut, "", "dryRun=All", object)(p)
}

func applying(p place) request {
	object := fmt.Sprintf(`{"apiVersion":"tenancy.garret.dev/v1","kind":"VirtualCluster","metadata":{"name":%q}}`, p.Name)
	r := on(http.MethodPatch, "", "dryRun=All&fieldManager=test", object)(p)
	r.header = http.Header{"Content-Type": {"application/apply-patch+yaml"}}
	return r
}

// upgrading watches over a WebSocket, which needs no node.
func upgrading(p place) request {
	r := on(http.MethodGet, "proxy/api/v1/namespaces", "watch=true", "")(p)
	r.header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Origin": {"http://localhost"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	return r
}

func byGateway(method, path, body string) func(place) request {
	return func(p place) request {
		return request{method: method, path: v1.GatewayPath(p.Name, p.Namespace) + path, body: body, gateway: true}
	}
}
