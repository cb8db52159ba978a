// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// event is what the tests look at in an audit event.
type event struct {
	AuditID     string
	Verb        string
	RequestURI  string
	User        struct{ Username string }
	Impersonate *struct {
		Username string
		Groups   []string
	} `json:"impersonatedUser"`
	Annotations map[string]string
	ObjectRef   *struct{ Resource, Subresource, Name string }
}

// audited waits for an event in a log.
func audited(t *testing.T, file, what string, match func(event) bool) event {
	t.Helper()
	var found event
	framework.Eventually(t, what, func(context.Context) (bool, error) {
		log, err := os.ReadFile(file)
		if err != nil {
			return false, err
		}
		for line := range strings.Lines(string(log)) {
			var e event
			// The last line may not be whole yet.
			if json.Unmarshal([]byte(line), &e) == nil && match(e) {
				found = e
				return true, nil
			}
		}
		return false, nil
	})
	return found
}

// TestAuditInside follows one request through the three servers that it passes.
func TestAuditInside(t *testing.T) {
	startSyncer(t)
	config := alice(t)
	config.Host += "/apis/tenancy.garret.dev/v1/namespaces/" + namespace + "/virtualclusters/" + name + "/proxy"
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	const path = "/api/v1/namespaces/default/configmaps/looked-for-in-the-audit"
	framework.Eventually(t, "alice reaches the inside", func(context.Context) (bool, error) {
		answer, err := client.Get(config.Host + path)
		if err != nil {
			return false, err
		}
		answer.Body.Close()
		return answer.StatusCode == 404, nil
	})
	inside := audited(t, shared.insideAudit, "the request in the log inside", func(e event) bool { return e.RequestURI == path })
	if inside.User.Username != v1.RelayUser || inside.Impersonate == nil || inside.Impersonate.Username != "host:alice" {
		t.Errorf("inside: got %+v, want host:alice by the relay", inside)
	} else if groups := strings.Join(inside.Impersonate.Groups, " "); !strings.Contains(groups, v1.GroupAdmins) || !strings.Contains(groups, "host:dev") {
		t.Errorf("inside: got groups %s, want those of the host and Garret's", groups)
	}
	for server, file := range map[string]string{"host": shared.hostAudit, "garret-apiserver": shared.garretAudit} {
		e := audited(t, file, "the same request in the log of "+server, func(e event) bool { return e.AuditID == inside.AuditID })
		if !strings.HasSuffix(e.RequestURI, "/proxy"+path) {
			t.Errorf("%s: got %+v, want the request to the proxy under the id %s", server, e, inside.AuditID)
		}
	}
}

func TestAuditOfKubeconfig(t *testing.T) {
	_, id := take(t, "view")
	e := audited(t, shared.garretAudit, "the credential in garret-apiserver's log", func(e event) bool {
		return e.Annotations["tenancy.garret.dev/credential-id"] == id
	})
	if e.ObjectRef == nil || e.ObjectRef.Subresource != "kubeconfig" || e.Annotations["tenancy.garret.dev/cluster-role"] != "view" ||
		e.Annotations["tenancy.garret.dev/certificate-serial"] == "" || e.Annotations["tenancy.garret.dev/certificate-expiration"] == "" {
		t.Errorf("got %+v, want role, serial number and end", e)
	}
}
