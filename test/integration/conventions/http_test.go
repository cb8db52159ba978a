// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package conventions

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

// answer is what came back to a request.
type answer struct {
	code   int
	header http.Header
	body   []byte
}

// root is the path of the group and version.
const root = "/apis/" + v1.GroupName + "/v1"

// collection is the path of the kind's objects, in the namespace of the check where there is one.
func (s *subject) collection() string {
	if s.namespaced {
		return root + "/namespaces/" + s.namespace + "/" + s.resource
	}
	return root + "/" + s.resource
}

// url is the path of an object.
func (s *subject) url(short string) string { return s.collection() + "/" + s.name(short) }

// send sends a request through the host. Headers come in pairs.
func (s *subject) send(method, path string, body []byte, headers ...string) answer {
	s.Helper()
	return s.sendTo(shared.http, shared.host.Config.Host, method, path, body, headers...)
}

func (s *subject) sendTo(client *http.Client, host, method, path string, body []byte, headers ...string) answer {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), method, host+path, bytes.NewReader(body))
	s.must(err)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := client.Do(request)
	s.must(err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	s.must(err)
	return answer{response.StatusCode, response.Header, content}
}

// expect wants an answer with the code, and gives it back.
func (s *subject) expect(code int, got answer) answer {
	s.Helper()
	if got.code != code {
		s.Fatalf("got %d, want %d: %s", got.code, code, got.body[:min(len(got.body), 1000)])
	}
	return got
}

// refused wants an answer with the code whose body is a Status with the same
// code, a reason, and the parts given in its message.
func (s *subject) refused(what string, code int, got answer, parts ...string) metav1.Status {
	s.Helper()
	var status metav1.Status
	if err := json.Unmarshal(got.body, &status); err != nil {
		s.Errorf("%s: got %d and %q, want a Status with %d", what, got.code, got.body, code)
		return status
	}
	if got.code != code || status.Kind != "Status" || status.APIVersion != "v1" || status.Status != metav1.StatusFailure ||
		int(status.Code) != code || status.Message == "" || status.Reason == "" {
		s.Errorf("%s: got %d and %+v, want %d and a Status that says so", what, got.code, status, code)
	}
	for _, part := range parts {
		if !strings.Contains(status.Message, part) {
			s.Errorf("%s: got %q, want %q in it", what, status.Message, part)
		}
	}
	return status
}

// decode reads a JSON answer.
func (s *subject) decode(got answer, into any) {
	s.Helper()
	if err := json.Unmarshal(got.body, into); err != nil {
		s.Fatalf("%v in %q", err, got.body)
	}
}

// decoded is a JSON answer as an object.
func (s *subject) decoded(got answer) *unstructured.Unstructured {
	s.Helper()
	object := &unstructured.Unstructured{}
	s.decode(got, &object.Object)
	return object
}
