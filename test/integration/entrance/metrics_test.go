// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package entrance

import (
	"context"
	"net/http"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/rest"

	v1 "garret.dev/garret/apis/tenancy/v1"
	"garret.dev/garret/test/framework"
)

// TestSyncerMetrics has a collector of the host read what the syncer measures, by the
// right to get the path, and nobody without it.
func TestSyncerMetrics(t *testing.T) {
	t.Parallel()
	target := "https://" + shared.garret.Address + v1.MetricsPrefix + namespace + "/" + name
	get := func(u framework.User) (int, error) {
		client, err := rest.HTTPClientFor(u.Config("https://"+shared.garret.Address, shared.authority))
		if err != nil {
			return 0, err
		}
		response, err := client.Get(target)
		if err != nil {
			return 0, err
		}
		response.Body.Close()
		return response.StatusCode, nil
	}
	collector, editor := shared.host.Certified(t, "collector"), shared.host.Certified(t, "editor")
	shared.host.Grant(t, collector, "", rbacv1.PolicyRule{NonResourceURLs: []string{v1.MetricsPrefix + "*"}, Verbs: []string{"get"}})
	shared.host.BindClusterRole(t, editor, namespace, "edit")
	framework.Eventually(t, "the collector reads the metrics", func(context.Context) (bool, error) {
		code, err := get(collector)
		return code == http.StatusOK, err
	})
	if code, err := get(editor); code != http.StatusForbidden || err != nil {
		t.Errorf("somebody who edits in the namespace: got %d, %v, want 403", code, err)
	}
}
