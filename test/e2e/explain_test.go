// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	explainv1alpha1 "garret.dev/garret/apis/explain/v1alpha1"
	"garret.dev/garret/test/framework"
)

// explained has a pod that runs, and one that is refused, explained: inside, and from the host.
func explained(t *testing.T, ns string, relay, alone framework.Client) {
	framework.SucceedsWithin(t, time.Minute, "the API is served inside", func(context.Context) error {
		_, err := relay.Try("get", "--raw", explainv1alpha1.Path)
		return err
	})
	told := &explainv1alpha1.Explanation{}
	if err := json.Unmarshal([]byte(relay.Garret(t, "explain", "po/shell", "-o", "json")), told); err != nil {
		t.Fatal(err)
	}
	name := strings.TrimSpace(shared.Admin().Do(t, "get", "pod", "-n", ns, "-l", "tenant.garret.dev/app=shell,garret.dev/cluster", "-o", "jsonpath={.items[0].metadata.name}"))
	if told.State != explainv1alpha1.OnHost || told.Host == nil || told.Host.Name != name || told.Host.Namespace != ns {
		t.Errorf("got %s %v %v, want it on the host as %s/%s", told.State, told.Host, told.Reasons, ns, name)
	}
	want := map[string]explainv1alpha1.Verdict{
		"metadata.name": explainv1alpha1.Translated, "spec.serviceAccountName": explainv1alpha1.Translated,
		"spec.containers[shell].image": explainv1alpha1.Copied, "spec.nodeName": explainv1alpha1.Reported,
	}
	for _, field := range told.Fields {
		if verdict, is := want[field.Field]; is && field.Verdict != verdict {
			t.Errorf("%+v: want %s", field, verdict)
		}
		delete(want, field.Field)
		switch field.Verdict {
		case explainv1alpha1.NotCarried, explainv1alpha1.Unknown, explainv1alpha1.RefusedField:
			t.Errorf("%+v: want nothing under way", field)
		}
	}
	if len(want) > 0 {
		t.Errorf("nothing is told of %v", want)
	}
	sides := map[explainv1alpha1.Side]bool{}
	for _, condition := range told.Conditions {
		if condition.Type == "Ready" && condition.Status == "True" {
			sides[condition.Side] = true
		}
	}
	if !sides[explainv1alpha1.SideInside] || !sides[explainv1alpha1.SideHost] {
		t.Errorf("conditions: got %v, want both sides Ready", told.Conditions)
	}
	started := false
	for _, event := range told.Events {
		started = started || event.Reason == "Started" && event.Side == explainv1alpha1.SideHost
	}
	if !started {
		t.Errorf("events: got %v, want that of the host's kubelet", told.Events)
	}

	if _, err := relay.Output("run", "peeper", "--image=docker.io/library/busybox:1.36", `--overrides={"spec":{"hostPID":true}}`); err != nil {
		t.Fatal(err)
	}
	defer relay.Do(t, "delete", "pod", "peeper", "--wait=false")
	framework.SucceedsWithin(t, 30*time.Second, "it is told from the host why a pod is refused", func(context.Context) error {
		out := shared.Admin().Garret(t, "explain", "pod/peeper", "--vcluster", ns+"/demo", "-n", "default")
		for _, want := range []string{"pods default/peeper is not on the host: it is refused", "Forbidden: the pod is refused: it", "host namespaces (hostPID=true)"} {
			if !strings.Contains(out, want) {
				return fmt.Errorf("got %s\nwant %q in it", out, want)
			}
		}
		return nil
	})
	// Everybody may ask, and who may not get the object is not answered.
	if out, err := alone.Try("auth", "can-i", "get", "secrets.explain.garret.dev", "--as", "nobody", "--as-group", "system:authenticated"); err != nil {
		t.Errorf("got %q, %v, want that everybody may ask", out, err)
	}
	alone.Refused(t, "only those who may get the object may have it explained", "get", "--raw", explainv1alpha1.Path+"/namespaces/default/pods/shell", "--as", "nobody", "--as-group", "system:authenticated")
}
