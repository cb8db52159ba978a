// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conventions

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/aggregation"
)

func protocolChecks() []check {
	return []check{
		{"methods", "a method that a path does not know is 405, and HEAD and OPTIONS are what they are for the host's own kinds", nil, methods},
		{"paths", "an unknown resource, subresource or version is 404", nil, paths},
		{"media-types", "a body of another media type is 415", nil, mediaTypes},
		{"too-large", "a body of more than 3 MiB is 413", nil, tooLarge},
		{"no-cache", "answers are not for caches", nil, noCache},
		{"audit-id", "an answer has the id under which the audit log has the request, and the host's is kept", nil, auditID},
		{"fairness", "priority and fairness classify requests by the host's rules", nil, fairness},
		{"compression", "a large answer is compressed for who takes that", []need{several}, compression},
		{"forbidden", "who may not is told which verb on what, as a Status", nil, forbidden},
	}
}

// methods compares with a ConfigMap, which has the same verbs.
func methods(s *subject) {
	s.create("a")
	for _, path := range []string{s.url("a"), s.collection()} {
		for _, method := range []string{"PUT", "POST", "TRACE", "OPTIONS", "HEAD", "FOO"} {
			if path == s.url("a") && method == "PUT" || path == s.collection() && method == "POST" {
				continue
			}
			like := "/api/v1/namespaces/kube-system/configmaps"
			if path == s.url("a") {
				like += "/extension-apiserver-authentication"
			}
			want := s.send(method, like, nil)
			got := s.send(method, path, nil)
			if got.code != want.code || got.header.Get("Allow") != want.header.Get("Allow") {
				s.Errorf("%s %s: got %d (Allow: %q), want %d (Allow: %q)", method, path, got.code, got.header.Get("Allow"), want.code, want.header.Get("Allow"))
			}
			if method == "POST" || method == "PUT" {
				s.refused(method, http.StatusMethodNotAllowed, got)
			}
		}
	}
}

func paths(s *subject) {
	s.create("a")
	s.refused("subresource", http.StatusNotFound, s.send("GET", s.url("a")+"/unheard", nil))
	s.refused("below status", http.StatusNotFound, s.send("GET", s.url("a")+"/status/unheard", nil))
	s.refused("resource", http.StatusNotFound, s.send("GET", root+"/"+s.resource+"x", nil))
	if got := s.send("GET", "/apis/tenancy.garret.dev/v9/"+s.resource, nil); got.code != http.StatusNotFound {
		s.Errorf("version: got %d, want 404", got.code)
	}
	if s.namespaced {
		s.refused("without a namespace", http.StatusMethodNotAllowed, s.send("POST", root+"/"+s.resource, body(s.object("b"))))
	} else {
		s.refused("with a namespace", http.StatusNotFound, s.send("GET", root+"/namespaces/default/"+s.resource, nil))
	}
}

func mediaTypes(s *subject) {
	for _, kind := range []string{"text/plain", "application/xml", "application/x-www-form-urlencoded", "nonsense"} {
		s.refused(kind, http.StatusUnsupportedMediaType, s.send("POST", s.collection(), body(s.object("b")), "Content-Type", kind), "application/json")
	}
}

func tooLarge(s *subject) {
	object := s.object("b")
	object.SetAnnotations(map[string]string{"a": strings.Repeat("x", 3<<20)})
	status := s.refused("create", http.StatusRequestEntityTooLarge, s.send("POST", s.collection(), body(object)), "limit is 3145728")
	if status.Reason != metav1.StatusReasonRequestEntityTooLarge {
		s.Errorf("got reason %s, want %s", status.Reason, metav1.StatusReasonRequestEntityTooLarge)
	}
	// Annotations have a limit of their own.
	object.SetAnnotations(map[string]string{"a": strings.Repeat("x", 300<<10)})
	s.refused("annotations", http.StatusUnprocessableEntity, s.send("POST", s.collection(), body(object)), "metadata.annotations", "Too long")
}

func noCache(s *subject) {
	s.create("a")
	if got := s.send("GET", s.url("a"), nil).header.Get("Cache-Control"); got != "no-cache, private" {
		s.Errorf("got Cache-Control %q, want no-cache, private", got)
	}
}

func auditID(s *subject) {
	s.create("a")
	id := "audit-" + s.id
	got := s.send("GET", s.url("a"), nil, "Audit-Id", id)
	if ids := got.header.Values("Audit-Id"); len(ids) == 0 || strings.Join(ids, "") != strings.Repeat(id, len(ids)) {
		s.Errorf("got ids %v, want %s alone", ids, id)
	}
	entry := []byte(fmt.Sprintf(`"auditID":%q`, id))
	framework.Eventually(s, "the audit log has the request", func(context.Context) (bool, error) {
		log, err := os.ReadFile(shared.auditLog)
		return bytes.Contains(log, entry), err
	})
}

// fairness asks garret-apiserver itself, since the host puts its own headers above.
func fairness(s *subject) {
	config, err := aggregation.Direct(s.Context(), shared.host, shared.garret.Address)
	s.must(err)
	config.Impersonate = rest.ImpersonationConfig{UserName: "somebody", Groups: []string{"system:authenticated"}}
	client, err := rest.HTTPClientFor(config)
	s.must(err)
	got := s.sendTo(client, config.Host, "GET", s.collection(), nil)
	flows := shared.host.Client.FlowcontrolV1()
	schema, err := flows.FlowSchemas().Get(s.Context(), "global-default", metav1.GetOptions{})
	s.must(err)
	level, err := flows.PriorityLevelConfigurations().Get(s.Context(), "global-default", metav1.GetOptions{})
	s.must(err)
	if got.header.Get("X-Kubernetes-Pf-Flowschema-Uid") != string(schema.UID) || got.header.Get("X-Kubernetes-Pf-Prioritylevel-Uid") != string(level.UID) {
		s.Errorf("got %v, want the flow %s and the level %s", got.header, schema.UID, level.UID)
	}
}

func compression(s *subject) {
	for _, short := range []string{"a", "b"} {
		object := s.object(short)
		object.SetAnnotations(map[string]string{"a": strings.Repeat("x", 100<<10)})
		_, err := s.in.Create(s.Context(), object, metav1.CreateOptions{})
		s.must(err)
		s.Cleanup(func() { s.clear(s.name(short)) })
	}
	path := s.collection() + "?labelSelector=conventions.garret.dev%2Fcheck%3D" + s.id
	got := s.expect(http.StatusOK, s.send("GET", path, nil, "Accept-Encoding", "gzip"))
	if got.header.Get("Content-Encoding") != "gzip" || len(got.body) > 50<<10 {
		s.Errorf("got %d bytes in encoding %q, want them compressed", len(got.body), got.header.Get("Content-Encoding"))
	}
}

func forbidden(s *subject) {
	config := rest.CopyConfig(shared.host.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "nobody"}
	client, err := rest.HTTPClientFor(config)
	s.must(err)
	status := s.refused("delete", http.StatusForbidden, s.sendTo(client, config.Host, "DELETE", s.url("a"), nil),
		`User "nobody" cannot delete resource "`+s.resource+`" in API group "tenancy.garret.dev"`)
	if status.Reason != metav1.StatusReasonForbidden || status.Details == nil || status.Details.Kind != s.resource {
		s.Errorf("got %+v, want Forbidden about %s", status, s.resource)
	}
}
