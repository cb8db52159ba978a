// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package entrance

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "garret.dev/garret/apis/tenancy/v1"
)

// pending makes a virtual cluster that nobody brings up.
func pending(t *testing.T) *v1.VirtualCluster {
	t.Helper()
	in := shared.garret.Clients.TenancyV1().VirtualClusters(shared.host.NewNamespace(t, "unavailable-"))
	made, err := in.Create(t.Context(), &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestNotReadySaysWhy(t *testing.T) {
	byEachDoor(t, func(t *testing.T, d *door) {
		u, object := chief(t), pending(t)
		for path, method := range map[string]string{
			objectPath(name, object.Namespace) + "/kubeconfig": http.MethodPost,
			d.path(name, object.Namespace) + "/api":            http.MethodGet,
		} {
			got := d.ask(t, u, method, path, `{"apiVersion":"tenancy.garret.dev/v1","kind":"KubeconfigRequest"}`, nil)
			var status metav1.Status
			err := json.Unmarshal([]byte(got.body), &status)
			if err != nil || got.code != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || !strings.Contains(status.Message, "Pending") {
				t.Errorf("%s: got %d, Retry-After %q, %s, %v; want 503 with the phase", path, got.code, got.header.Get("Retry-After"), got.body, err)
			}
		}
	})
}

// TestKubectlIsToldWhatFailed has kubectl ask in a virtual cluster that nobody
// but an administrator can bring up: it must say so, instead of waiting.
func TestKubectlIsToldWhatFailed(t *testing.T) {
	byEachDoor(t, func(t *testing.T, d *door) {
		object := pending(t)
		object.Status.Phase = v1.PhaseFailed
		if _, err := shared.garret.Clients.TenancyV1().VirtualClusters(object.Namespace).UpdateStatus(t.Context(), object, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		c := chief(t).Client(t, "https://"+d.address+d.path(name, object.Namespace), d.authority)
		want := "virtual cluster " + object.Namespace + "/demo is not available: its phase is Failed"
		for _, args := range [][]string{{"get", "--raw", "/api/v1/pods"}, {"get", "pods"}} {
			if out, err := c.Output(args...); err == nil || !strings.Contains(out, want) {
				t.Errorf("kubectl %q said %q (%v), want %q", args, out, err, want)
			}
		}
	})
}
