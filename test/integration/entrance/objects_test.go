// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package entrance

import (
	"strings"
	"testing"

	"garret.dev/garret/test/framework"
)

// configMap is one in the namespace default.
func configMap(name string) string {
	return `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"` + name + `","namespace":"default"},"data":{"a":"b"}}`
}

// TestReader has kubectl look and not touch.
func TestReader(t *testing.T) {
	byEachDoor(t, func(t *testing.T, d *door) {
		reader := d.reader(t)
		c := d.kubectl(t, reader)
		c.Do(t, "get", "pods,configmaps", "-A")
		c.Refused(t, d.refusal(reader, "list", "secrets"), "get", "secrets", "-A")
		c.Input(configMap("reader")).Refused(t, d.refusal(reader, "create", "configmaps"), "create", "-f", "-")
		c.Refused(t, d.refusal(reader, "delete", "configmaps"), "delete", "configmap", "kube-root-ca.crt")
	})
}

// TestObjects has kubectl do with objects inside what it does with the host's.
func TestObjects(t *testing.T) {
	byEachDoor(t, func(t *testing.T, d *door) {
		users := map[string]framework.User{"admin": d.admin(t)}
		if !d.methods {
			// To let the host see only readers change something is what this door is for.
			users["editor"] = editor(t, d.reader(t))
		}
		for who, u := range users {
			t.Run(who, func(t *testing.T) {
				t.Parallel()
				object := d.name + "-" + who
				c := d.kubectl(t, u).Input(configMap(object))
				if got := c.Do(t, "apply", "--dry-run=server", "-f", "-"); !strings.Contains(got, "created (server dry run)") {
					t.Errorf("dry run: got %q", got)
				}
				c.Refused(t, "NotFound", "get", "configmap", object)
				for _, tc := range []struct{ command, want string }{
					{"apply -f -", "configmap/" + object + " created"},
					{"apply --server-side --force-conflicts -f -", "serverside-applied"},
					{"get configmap " + object + " -o yaml", "name: " + object},
					{`patch configmap ` + object + ` -p {"data":{"a":"c"}}`, "patched"},
					{"wait configmap/" + object + " --for=jsonpath={.data.a}=c --timeout=30s", "condition met"},
					{"explain deployment.spec.replicas", "Number of desired pods"},
					{"api-resources", "deployments"},
					{"version", "Server Version"},
				} {
					if got := c.Do(t, strings.Fields(tc.command)...); !strings.Contains(got, tc.want) {
						t.Errorf("kubectl %s: got %q, want %q in it", tc.command, got, tc.want)
					}
				}
				if got := c.Do(t, "get", "configmap", object, "-o", "jsonpath={.data.a}"); got != "c" {
					t.Errorf("after the patch: got %q, want c", got)
				}
				if got := c.Do(t, "get", "--raw", "/readyz"); got != "ok" {
					t.Errorf("raw: got %q, want ok", got)
				}
				c.Do(t, "delete", "configmap", object)
			})
		}
	})
}
