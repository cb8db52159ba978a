// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package entrance

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/pkg/relay"
	"garret.dev/garret/test/framework"
)

// event is what the tests look at in an audit event.
type event struct {
	Verb, RequestURI              string
	User                          struct{ Username string }
	ObjectRef                     struct{ Resource, Subresource, Namespace, Name string }
	RequestObject, ResponseObject json.RawMessage
	Annotations                   map[string]string
}

// audited waits until the log has an event that matches. None of a request to the
// URI may be there with a body, though the policy asks for every body.
func audited(t *testing.T, what, uri string, matches func(event) bool) {
	t.Helper()
	// The event that says how a request ended is written after its answer.
	framework.Eventually(t, what, func(context.Context) (found bool, err error) {
		log, err := os.ReadFile(shared.auditLog)
		for line := range strings.Lines(string(log)) {
			var e event
			// The last line may not be whole yet.
			if !strings.Contains(line, uri) || json.Unmarshal([]byte(line), &e) != nil || e.RequestURI != uri {
				continue
			}
			if len(e.RequestObject)+len(e.ResponseObject) > 0 {
				t.Errorf("the audit log holds what passed through:\n%s", line)
			}
			found = found || matches(e)
		}
		return found, err
	})
}

// TestAudit looks for what the host's auditor has to know of a request: who
// entered, as whom, and for what.
func TestAudit(t *testing.T) {
	byEachDoor(t, func(t *testing.T, d *door) {
		admin, reader := d.admin(t), d.reader(t)
		for _, tc := range []struct {
			verb, method, path string
			user               framework.User
			group              string
			want               int
		}{
			{"list", http.MethodGet, d.inside("/api/v1/secrets?limit=7"), admin, v1.GroupAdmins, http.StatusOK},
			{"list", http.MethodGet, d.inside("/api/v1/pods?limit=7"), reader, v1.GroupViewers, http.StatusOK},
			{"delete", http.MethodDelete, d.inside("/api/v1/namespaces/default/secrets/none"), admin, v1.GroupAdmins, http.StatusNotFound},
		} {
			t.Run(tc.verb+" in "+tc.group, func(t *testing.T) {
				if got := d.ask(t, tc.user, tc.method, tc.path, "", nil); got.code != tc.want {
					t.Fatalf("answered %d, want %d: %s", got.code, tc.want, got.body)
				}
				// What the host was asked for; what was done inside is another thing.
				verb, subresource := "get", ""
				if d.methods {
					verb, subresource = strings.ToLower(tc.method), "proxy"
				}
				audited(t, "an event says who entered, as whom, and for what", tc.path, func(e event) bool {
					return e.Verb == verb && e.User.Username == tc.user.Name &&
						e.ObjectRef.Resource == clusters && e.ObjectRef.Subresource == subresource &&
						e.ObjectRef.Namespace == namespace && e.ObjectRef.Name == name &&
						e.Annotations[relay.AuditEnteredAs] == v1.HostUserPrefix+tc.user.Name &&
						e.Annotations[relay.AuditGroup] == tc.group && e.Annotations[relay.AuditVerb] == tc.verb
				})
			})
		}
	})
}
