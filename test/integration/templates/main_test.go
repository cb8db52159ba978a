// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

// Package templates tests, through a real kube-apiserver, what a virtual cluster
// gets from its template and from its host cluster: the default template and the
// limit, which hold for all virtual clusters, so no other tests run beside these.
package templates

import (
	"context"
	"os"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1 "garret.dev/garret/apis/tenancy/v1"
	tenancyv1 "garret.dev/garret/generated/clientset/versioned/typed/tenancy/v1"
	"garret.dev/garret/test/framework"
	"garret.dev/garret/test/framework/aggregation"
)

type environment struct {
	host   *framework.ControlPlane
	garret *aggregation.Garret
}

var shared environment

func TestMain(m *testing.M) { os.Exit(framework.Run(m, "tmpl", setUp)) }

func setUp(stage *framework.Stage) (err error) {
	if shared.host, err = stage.StartControlPlane("host", aggregation.HostFlag); err != nil {
		return err
	}
	shared.garret, err = aggregation.Serve(stage, shared.host, nil)
	return err
}

// clusters are the virtual clusters of a new namespace.
func clusters(t *testing.T) tenancyv1.VirtualClusterInterface {
	t.Helper()
	return shared.garret.Clients.TenancyV1().VirtualClusters(shared.host.NewNamespace(t, "test-"))
}

// templates are those of the host.
func templates() tenancyv1.VirtualClusterTemplateInterface {
	return shared.garret.Clients.TenancyV1().VirtualClusterTemplates()
}

// setTemplate makes a template from the JSON of its spec, or brings the one that is there into that state.
func setTemplate(t *testing.T, name, spec string) *v1.VirtualClusterTemplate {
	t.Helper()
	manifest := `{"apiVersion":"tenancy.garret.dev/v1","kind":"VirtualClusterTemplate","metadata":{"name":"` + name + `"},"spec":` + spec + `}`
	got, err := templates().Patch(t.Context(), name, types.ApplyPatchType, []byte(manifest), metav1.PatchOptions{FieldManager: "platform"})
	if err != nil {
		t.Fatalf("%v\n%s", err, manifest)
	}
	return got
}

// template is setTemplate, and deletes it after the test.
func template(t *testing.T, name, spec string) *v1.VirtualClusterTemplate {
	t.Helper()
	got := setTemplate(t, name, spec)
	t.Cleanup(func() {
		if err := templates().Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	})
	return got
}

// create makes a virtual cluster with a spec or fails the test.
func create(t *testing.T, in tenancyv1.VirtualClusterInterface, name string, spec v1.VirtualClusterSpec) *v1.VirtualCluster {
	t.Helper()
	made, err := in.Create(t.Context(), &v1.VirtualCluster{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create %s: %v", name, err)
	}
	return made
}

// patched applies a merge patch or fails the test.
func patched(t *testing.T, in tenancyv1.VirtualClusterInterface, name, patch string) *v1.VirtualCluster {
	t.Helper()
	got, err := in.Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		t.Fatalf("patch %s with %s: %v", name, patch, err)
	}
	return got
}

// setHost changes the spec of the host cluster, and takes that back after the test.
func setHost(t *testing.T, patch string) {
	t.Helper()
	set := func(ctx context.Context, patch string) {
		hosts := shared.garret.Clients.TenancyV1().HostClusters()
		if _, err := hosts.Patch(ctx, v1.LocalHostCluster, types.MergePatchType, []byte(`{"spec":`+patch+`}`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	set(t.Context(), patch)
	t.Cleanup(func() {
		set(context.Background(), `{"defaultTemplateRef":null,"maxVirtualClusters":null,"isolation":null}`)
	})
}

// invalid wants a write refused with 422, and these causes: field and a part of the message.
func invalid(t *testing.T, err error, causes ...[2]string) {
	t.Helper()
	status, ok := err.(apierrors.APIStatus)
	if !apierrors.IsInvalid(err) || !ok {
		t.Fatalf("got %v, want Invalid", err)
	}
	got := status.Status().Details.Causes
	if len(got) != len(causes) {
		t.Errorf("got %d causes, want %d: %v", len(got), len(causes), err)
		return
	}
	for i, want := range causes {
		if got[i].Field != want[0] || !strings.Contains(got[i].Message, want[1]) {
			t.Errorf("cause %d: got %s: %s, want %s with %q", i, got[i].Field, got[i].Message, want[0], want[1])
		}
	}
}
